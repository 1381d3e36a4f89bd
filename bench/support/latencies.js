/**
 * Response times of requests that are sent at a fixed pace, with more than autocannon's whole milliseconds. A request that takes
 * longer than the pace keeps the next ones of its connection back: they count as what they would have taken had they been sent
 * in time (https://github.com/HdrHistogram/HdrHistogram#corrected-vs-raw-value-recording-calls).
 */
export class Latencies {
  #interval
  #values = []

  /** @param interval ms between two requests of one connection */
  constructor (interval) {
    this.#interval = interval
  }

  add (ms) {
    for (let value = ms; value > 0; value -= this.#interval) this.#values.push(value)
  }

  /** The value that 99 of 100 do not pass, in ms. */
  get p99 () {
    const sorted = this.#values.sort((a, b) => a - b)
    return sorted[Math.ceil(sorted.length * 0.99) - 1]
  }
}
