/** One message at a time over the stage. The same one is not said again while it stands. */
export class Notices {
  constructor(box) {
    this.box = box;
    this.timer = null;
  }

  /** Show `text` for some seconds, or until `hide` with `stay`. */
  show(text, { seconds = 9, stay = false } = {}) {
    if (!text) return;
    if (this.box.textContent !== text) this.box.textContent = text;
    this.box.hidden = false;
    clearTimeout(this.timer);
    if (!stay) this.timer = setTimeout(() => this.hide(), seconds * 1000);
  }

  hide() {
    this.box.hidden = true;
    this.box.textContent = '';
  }
}
