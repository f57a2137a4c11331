/** What the character may tell and what it remembers of the player, asked of the server for the mind's view. */
import { api, player } from './server.js';

export class Memory {
  constructor(view, notice) {
    Object.assign(this, { view, notice, character: null });
    document.getElementById('forget').addEventListener('click', () => this.forget());
  }

  get path() {
    return `v1/players/${encodeURIComponent(player())}/memory?character=${encodeURIComponent(this.character.id)}`;
  }

  /** Another character: its answers count, not those that still come for the one before. */
  async open(character) {
    this.character = character;
    const knowledge = await api(`v1/characters/${encodeURIComponent(character.id)}/knowledge`);
    if (this.character !== character) return;
    this.view.known(knowledge?.data ?? []);
    await this.refresh();
  }

  async refresh() {
    const { character } = this;
    const memory = await api(this.path);
    if (this.character === character) this.view.remembered(memory ?? {});
  }

  async forget() {
    const { name } = this.character;
    const gone = await api(this.path, { method: 'DELETE' });
    this.notice(gone ? `${name} has forgotten you.` : 'The server did not answer; nothing was forgotten. Try again.');
    await this.refresh();
  }
}
