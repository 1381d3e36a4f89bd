/** The longest delay, in ms. */
const LONGEST_DELAY = 100

/** Delays work by a random time, so that processes that hear of the same change do not all act at once. */
export class Jitter {
  readonly #timers = new Map<string, NodeJS.Timeout>()

  /** Does the work a little later. Does nothing if work with this key waits already, because that sees the same change. */
  add (key: string, work: () => void): void {
    if (this.#timers.has(key)) return
    this.#timers.set(key, setTimeout(() => {
      this.#timers.delete(key)
      work()
    }, Math.random() * LONGEST_DELAY))
  }

  drop (key: string): void {
    clearTimeout(this.#timers.get(key))
    this.#timers.delete(key)
  }

  close (): void {
    for (const key of [...this.#timers.keys()]) this.drop(key)
  }
}
