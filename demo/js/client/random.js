/** xorshift32 with a seed mixer: the same integers as the server and the engine clients, so that idle motion agrees everywhere. */
export function mix(seed, stream) {
  let h = (seed ^ Math.imul(stream, 0x9e3779b1)) >>> 0;
  h ^= h >>> 16;
  h = Math.imul(h, 0x85ebca6b) >>> 0;
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35) >>> 0;
  h = (h ^ (h >>> 16)) >>> 0;
  return h || 0x9e3779b9;
}

export class Xorshift32 {
  constructor(seed, stream = 0) {
    this.state = mix(seed >>> 0, stream);
  }

  next() {
    let x = this.state;
    x = (x ^ (x << 13)) >>> 0;
    x ^= x >>> 17;
    x = (x ^ (x << 5)) >>> 0;
    this.state = x;
    return x;
  }

  /** An integer in [0, n) for n <= 65536. */
  below(n) {
    return ((this.next() >>> 16) * n) >>> 16;
  }

  unit() {
    return (this.next() >>> 16) / 65536;
  }

  pick(table) {
    return table[this.below(table.length)];
  }
}
