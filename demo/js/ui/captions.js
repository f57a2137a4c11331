/** Captions by word: the reply's words appear when it starts and light up as they are heard. */
export class Captions {
  constructor(you, them) {
    this.you = you;
    this.them = them;
    this.ordinal = null;
    this.words = [];
  }

  player(text) {
    this.you.textContent = text;
  }

  /** Take the words of `npc.cues`; words of a new reply replace the last one's. */
  add(ordinal, words) {
    if (ordinal !== this.ordinal) this.clear(ordinal);
    for (const word of words) {
      const span = document.createElement('span');
      span.textContent = `${word.text} `;
      this.words.push({ at: word.at, span });
      this.them.append(span);
    }
    this.trim();
  }

  /** Light every word that has begun by sample `played`. */
  advance(ordinal, played) {
    if (ordinal !== this.ordinal) return;
    for (const word of this.words) if (word.at <= played) word.span.classList.add('heard');
    this.trim();
  }

  /** A listener's "mm-hm", shown small for a moment beside the player's words. */
  aside(text) {
    const said = document.createElement('i');
    said.textContent = ` ${text.replaceAll('_', ' ')}`;
    this.you.append(said);
  }

  /** Cut short: words never heard go. */
  interrupted() {
    const heard = this.words.filter((word) => word.span.classList.contains('heard'));
    for (const word of this.words) if (!heard.includes(word)) word.span.remove();
    this.words = heard;
    if (heard.length) heard.at(-1).span.append('—');
  }

  clear(ordinal = null) {
    this.ordinal = ordinal;
    this.words = [];
    this.them.replaceChildren();
  }

  /** Keep about two lines: drop words heard long ago once the rest would not fit. */
  trim() {
    while (this.words.length > 26 && this.words[12].span.classList.contains('heard')) {
      this.words.shift().span.remove();
    }
  }
}
