/** When to try a lost socket again: 0.2, 0.4, 0.8 … 5 s, with up to a quarter of jitter from `random` in [0, 1). */
export function retryDelayMs(attempt, random) {
  return Math.min(5000, 200 * 2 ** attempt) * (1 - 0.25 * random);
}
