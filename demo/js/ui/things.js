/** What stands around, as a list that keyboards and screen readers reach: look at a thing, or hand it back. */
export class ThingsView {
  constructor(list, place, actor) {
    Object.assign(this, { list, place, actor });
  }

  show({ location = '', time = '' } = {}) {
    this.place.textContent = [location, time].filter(Boolean).join(', ');
    this.draw();
  }

  draw() {
    const yours = new Set(this.actor.table?.yours ?? []);
    const rows = this.actor.things.map(({ id, name, description }) => {
      const row = document.createElement('li');
      const what = document.createElement('div');
      what.append(Object.assign(document.createElement('strong'), { textContent: name ?? id }), Object.assign(document.createElement('small'), { textContent: yours.has(id) ? 'yours' : (description ?? '') }));
      const button = document.createElement('button');
      button.className = 'ghost';
      button.textContent = yours.has(id) ? 'Give back' : 'Point at';
      button.setAttribute('aria-label', `${button.textContent} ${name ?? id}`);
      button.addEventListener('click', () => (yours.has(id) ? this.actor.giveBack(id) : this.actor.attend(id)));
      row.append(what, button);
      return row;
    });
    const none = Object.assign(document.createElement('li'), { className: 'empty', textContent: 'Nothing but the two of you.' });
    this.list.replaceChildren(...(rows.length ? rows : [none]));
  }
}
