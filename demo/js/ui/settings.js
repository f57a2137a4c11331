/** What the person chose, kept in this browser. */

const KEY = 'npc.settings';
const DEFAULTS = { turns: 'hands-free', captions: true, calm: matchMedia('(prefers-reduced-motion: reduce)').matches, contrast: false, look: '' };

export function readSettings() {
  return { ...DEFAULTS, ...JSON.parse(localStorage.getItem(KEY) ?? '{}') };
}

export class Settings {
  constructor(form, onChange) {
    this.form = form;
    const values = readSettings();
    for (const [name, value] of Object.entries(values)) {
      const field = form.elements[name];
      if (!field) continue;
      if (typeof value === 'boolean') field.checked = value;
      else field.value = value;
    }
    form.addEventListener('change', ({ target }) => {
      if (target.type === 'file') return;
      const now = { ...readSettings(), [target.name]: target.type === 'checkbox' ? target.checked : target.value };
      localStorage.setItem(KEY, JSON.stringify(now));
      onChange(now);
    });
    onChange(values);
  }

  /** List the heads the page carries, put on the chosen one (or the character's own), and accept a file. */
  async offerLooks(wear, character) {
    const looks = await fetch(new URL('assets/heads/index.json', document.baseURI)).then((answer) => (answer.ok ? answer.json() : []), () => []);
    const select = this.form.elements.look;
    select.replaceChildren(...looks.map(({ name, file }) => new Option(name, file)));
    const url = (file) => new URL(`assets/heads/${file}`, document.baseURI).href;
    const own = looks.find(({ characters = [] }) => characters.includes(character.id));
    const chosen = looks.find(({ file }) => file === readSettings().look) ?? own ?? looks[0];
    if (chosen) {
      select.value = chosen.file;
      await wear(url(chosen.file));
    }
    select.addEventListener('change', () => wear(url(select.value)));
    this.form.elements.rig.addEventListener('change', ({ target }) => target.files[0] && wear(URL.createObjectURL(target.files[0])));
  }
}
