import { ConcurrencyLimit } from './concurrency-limit.ts'
import type { ConcurrencyOptions } from './concurrency-limit.ts'

/** Work that has not begun. Never rejects. */
type Work = () => Promise<void>

/** How many different delays there are. Work with the same delay shares a timer, because a change may concern 100,000 tenants. */
const DELAYS = 10
/** The difference between two delays, in ms. */
const STEP = 10

/** The keys of works that begin at the same moment. */
interface Delayed {
  readonly keys: string[]
  readonly timer: NodeJS.Timeout
}

/**
 * Delays work by a random time of up to 100 ms, so that processes that hear of the same change do not all act at once. Then runs a limited
 * number of works at a time.
 */
export class Jitter {
  /** The works that have not begun, by key. */
  readonly #works = new Map<string, Work>()
  readonly #delayed = new Map<number, Delayed>()
  /** The keys of the works whose delay is over, the first first. Those without work have been dropped. */
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
    const delay = Math.ceil(Math.random() * DELAYS) * STEP
    const { keys } = this.#delayed.get(delay) ?? this.#start(delay)
    keys.push(key)
  }

  /** Forgets the work with this key, unless it has begun. */
  drop (key: string): void {
    this.#works.delete(key)
  }

  close (): void {
    this.#works.clear()
    for (const { timer } of this.#delayed.values()) clearTimeout(timer)
  }

  #start (delay: number): Delayed {
    const keys: string[] = []
    const timer = setTimeout(() => {
      this.#delayed.delete(delay)
      for (const key of keys) this.#due.add(key)
      this.#next()
    }, delay)
    const delayed = { keys, timer }
    this.#delayed.set(delay, delayed)
    return delayed
  }

  #next (): void {
    for (const key of this.#due) {
      if (!this.#limit.free) return
      this.#due.delete(key)
      const work = this.#works.get(key)
      this.#works.delete(key)
      if (work !== undefined) this.#run(work)
    }
  }

  async #run (work: Work): Promise<void> {
    const end = this.#limit.begin()
    await work()
    end()
  }
}
