/** The written conversation: what was said, what was heard of the replies, and what was done. */
export class Transcript {
  constructor(list, empty) {
    this.list = list;
    this.empty = empty;
    this.rows = new Map();
  }

  /** Make or change the row with this id. `who` is you, them or action; `note` is small print under it. */
  set(id, who, text, note = '') {
    this.empty.hidden = true;
    let row = this.rows.get(id);
    if (!row) {
      row = document.createElement('li');
      row.className = who;
      row.append(document.createElement('span'), document.createElement('small'));
      this.rows.set(id, row);
      this.list.append(row);
    }
    row.firstChild.textContent = text;
    row.lastChild.textContent = note;
    this.list.parentElement.scrollTop = this.list.parentElement.scrollHeight;
  }

  clear() {
    this.rows.clear();
    this.list.replaceChildren();
    this.empty.hidden = false;
  }

  /** Show only `heard` of a reply as said, and the rest struck out. */
  cut(id, heard) {
    const row = this.rows.get(id);
    if (!row) return;
    const whole = row.firstChild.textContent;
    const rest = whole.startsWith(heard) ? whole.slice(heard.length) : '';
    const struck = document.createElement('span');
    struck.className = 'cut';
    struck.textContent = rest;
    row.firstChild.replaceChildren(heard, struck);
    row.lastChild.textContent = 'cut short: only the plain words were heard and are remembered';
  }
}
