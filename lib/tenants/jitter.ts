import { ConcurrencyLimit } from './concurrency-limit.ts'
import type { ConcurrencyOptions } from './concurrency-limit.ts'

/** Work that has not begun. Never rejects. */
type Work = () => Promise<void>

/** The longest delay, in ms. */
const LONGEST_DELAY = 100

/**
 * Delays work by a random time, so that processes that hear of the same change do not all act at once. Then runs a limited number of
 * works at a time.
 */
export class Jitter {
  /** The works that have not begun, by key. */
  readonly #works = new Map<string, Work>()
  readonly #timers = new Map<string, NodeJS.Timeout>()
  /** The keys of the works whose delay is over, the first first. */
  readonly #due = new Set<string>()
  readonly #limit: ConcurrencyLimit

  constructor (limits: Omit<ConcurrencyOptions, 'onFree'>) {
    this.#limit = new ConcurrencyLimit({ ...limits, onFree: () => this.#next() })
  }

  /** Does the work later. Replaces work with this key that has not begun: it would see the same changes. */
  add (key: string, work: Work): void {
    const waits = this.#works.has(key)
    this.#works.set(key, work)
    if (waits) return
    this.#timers.set(key, setTimeout(() => {
      this.#timers.delete(key)
      this.#due.add(key)
      this.#next()
    }, Math.random() * LONGEST_DELAY))
  }

  /** Forgets the work with this key, unless it has begun. */
  drop (key: string): void {
    clearTimeout(this.#timers.get(key))
    this.#timers.delete(key)
    this.#due.delete(key)
    this.#works.delete(key)
  }

  close (): void {
    for (const key of [...this.#works.keys()]) this.drop(key)
  }

  #next (): void {
    for (const key of this.#due) {
      if (!this.#limit.free) return
      const work = this.#works.get(key) as Work
      this.drop(key)
      this.#run(work)
    }
  }

  async #run (work: Work): Promise<void> {
    const end = this.#limit.begin()
    await work()
    end()
  }
}
