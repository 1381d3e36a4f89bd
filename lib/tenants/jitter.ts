/** The longest that work is put off, in ms. */
const SPREAD = 100

/** Puts work off by a time of chance, so that processes that hear of the same thing do not all do the same at once. */
export class Jitter {
  readonly #timers = new Map<string, NodeJS.Timeout>()

  /** Does the work a little later, unless other work is to be done under this key: that finds the same. */
  add (key: string, work: () => void): void {
    if (this.#timers.has(key)) return
    this.#timers.set(key, setTimeout(() => {
      this.#timers.delete(key)
      work()
    }, Math.random() * SPREAD))
  }

  drop (key: string): void {
    clearTimeout(this.#timers.get(key))
    this.#timers.delete(key)
  }

  close (): void {
    for (const key of [...this.#timers.keys()]) this.drop(key)
  }
}
