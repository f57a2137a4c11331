/** One reply as the page follows it: its words, when its sound came and began, and what became of it. */
export class Reply {
  /** `response` of `response.created`. */
  constructor(response, transcript, mind) {
    Object.assign(this, { id: response.id, ordinal: response.npc?.ordinal, transcript, mind });
    this.text = '';
    this.firstFrame = null;
    this.firstSound = null;
  }

  add(delta) {
    this.text += delta;
    this.transcript.set(this.id, 'them', this.text.trim());
  }

  received(now) {
    this.firstFrame ??= now;
  }

  sounding(now) {
    this.firstSound ??= now;
  }

  /** Milliseconds from the first frame received to the first sample played, or null before that. */
  playoutMs() {
    return this.firstFrame !== null && this.firstSound !== null ? this.firstSound - this.firstFrame : null;
  }

  cite(citations) {
    this.mind.cited(citations, this.text.trim().split(/\s+/));
  }

  done(response) {
    if (response.status !== 'cancelled') return;
    const parts = response.output?.flatMap((item) => item.content ?? []) ?? [];
    this.transcript.cut(this.id, parts.map((part) => part.transcript ?? part.text ?? '').join(' ').trim());
  }
}
