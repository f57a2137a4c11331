/**
 * The played-sample clock, between the audio thread's reports. Pure: context time enters as an argument.
 *
 * A report says that `played` samples of an item had left the worklet at context time `at`. What a person hears is later by the
 * output latency, so the pose drawn now belongs to `played + (now - at - outputLatency) * rate`.
 */
export class PlayedClock {
  constructor(rate) {
    this.rate = rate;
    this.ordinal = null;
    this.played = 0;
    this.at = 0;
    this.state = 'idle';
    this.end = Infinity;
  }

  /** Take a report of the playback worklet. */
  report({ ordinal, played, at, state }) {
    this.ordinal = ordinal;
    this.played = played;
    this.at = at;
    this.state = state;
    this.end = state === 'playing' ? Infinity : played;
  }

  /** {ordinal, sample}: what sounds at context time `now` with `outputLatency` seconds behind the worklet; sample may be negative. */
  now(now, outputLatency = 0) {
    const running = this.state === 'playing' ? (now - this.at) * this.rate : 0;
    const tail = this.state === 'finished' ? (now - this.at) * this.rate : 0;
    return { ordinal: this.ordinal, sample: this.played + running + tail - outputLatency * this.rate, state: this.state };
  }
}
