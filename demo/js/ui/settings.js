/** What the person chose, kept in this browser: how to talk, how to see, whose voice and whose face. */

const KEY = 'npc.settings';
const OWN = 'own';
const DEFAULTS = { turns: 'hands-free', captions: true, calm: matchMedia('(prefers-reduced-motion: reduce)').matches, contrast: matchMedia('(prefers-contrast: more)').matches, look: OWN };

export function readSettings() {
  return { ...DEFAULTS, ...JSON.parse(localStorage.getItem(KEY) ?? '{}') };
}

export class Settings {
  constructor(form, onChange) {
    this.form = form;
    this.voices = [];
    this.voice = null;
    const values = readSettings();
    for (const [name, value] of Object.entries(values)) {
      const field = form.elements[name];
      if (!field) continue;
      if (typeof value === 'boolean') field.checked = value;
      else field.value = value;
    }
    form.addEventListener('submit', (event) => event.preventDefault());
    form.addEventListener('change', ({ target }) => {
      if (!(target.name in DEFAULTS)) return;
      const now = { ...readSettings(), [target.name]: target.type === 'checkbox' ? target.checked : target.value };
      localStorage.setItem(KEY, JSON.stringify(now));
      onChange(now);
    });
    onChange(values);
  }

  /** List the server's voices; a choice is kept per character and opens the conversation anew by `reopen`. */
  async offerVoices(voices, reopen) {
    this.voices = voices;
    const select = this.form.elements.voice;
    select.addEventListener('change', () => {
      if (select.value === OWN) localStorage.removeItem(this.voiceKey);
      else localStorage.setItem(this.voiceKey, select.value);
      reopen();
    });
  }

  /** Offer the voices that speak the character's language, with the one chosen for it before. */
  voiceOf(character) {
    this.voiceKey = `npc.voice.${character.id}`;
    const language = (character.language ?? 'en').slice(0, 2);
    const fitting = this.voices.filter(({ languages = [] }) => languages.some((one) => one.startsWith(language)));
    const own = this.voices.find(({ id }) => id === character.voice);
    const select = this.form.elements.voice;
    select.replaceChildren(new Option(`${character.name}'s own${own ? ` (${own.name})` : ''}`, OWN), ...fitting.map(({ id, name }) => new Option(name, id)));
    const kept = localStorage.getItem(this.voiceKey);
    this.voice = fitting.some(({ id }) => id === kept) ? kept : null;
    select.value = this.voice ?? OWN;
    this.describeVoice(character);
  }

  describeVoice(character) {
    const card = this.voices.find(({ id }) => id === (this.voice ?? character.voice));
    this.form.querySelector('#voice-note').textContent = card ? `${card.description} ${card.watermark ? 'Its sound is marked as synthetic.' : ''}` : '';
  }

  /** List the heads the page carries, and accept a file or an address. `wear(url)` puts one on. */
  async offerLooks(wear) {
    this.wear = wear;
    this.looks = await fetch(new URL('assets/heads/index.json', document.baseURI)).then((answer) => (answer.ok ? answer.json() : []), () => []);
    const { look, rig, address } = this.form.elements;
    look.replaceChildren(new Option("the character's own", OWN), ...this.looks.map(({ name, file }) => new Option(name, file)));
    look.value = this.looks.some(({ file }) => file === readSettings().look) ? readSettings().look : OWN;
    look.addEventListener('change', () => this.dress(this.character));
    rig.addEventListener('change', ({ target }) => target.files[0] && this.put(URL.createObjectURL(target.files[0])));
    const load = () => address.value && address.reportValidity() && this.put(address.value);
    this.form.querySelector('#address-load').addEventListener('click', load);
    address.addEventListener('keydown', (event) => event.key === 'Enter' && load());
  }

  /** A model of the person's own stays on until another look is chosen. */
  async put(url) {
    this.worn = url;
    await this.wear(url);
  }

  /** Put on the chosen head, or the one that belongs to the character. */
  async dress(character) {
    this.character = character;
    if (!this.looks) return;
    const own = this.looks.find(({ characters = [] }) => characters.includes(character.id)) ?? this.fitting(character);
    const chosen = this.looks.find(({ file }) => file === this.form.elements.look.value) ?? own;
    if (!chosen) return;
    const url = new URL(`assets/heads/${chosen.file}`, document.baseURI).href;
    if (url !== this.worn) await this.put(url);
  }

  /** A character without a head of its own gets one that fits its voice, the same each time. */
  fitting(character) {
    const heard = this.voices.find(({ id }) => id === character.voice)?.hints?.gender;
    const people = this.looks.filter(({ voice }) => voice !== 'other');
    const suited = people.filter(({ voice }) => voice === heard);
    const among = suited.length ? suited : people;
    return among[hash(character.id) % Math.max(1, among.length)];
  }
}

/** A number in [0, 9973) of a text. */
const hash = (text) => [...text].reduce((sum, character) => (sum * 31 + character.codePointAt(0)) % 9973, 7);
