import { LRUCache } from 'lru-cache'

/** The consecutive failed loads of one tenant. */
interface Failure {
  error: unknown
  count: number
  /** By `performance.now()`, in ms. */
  retryAt: number
}

/** The pause after the first failed load, in ms. Each further pause is twice as long. */
const FIRST_PAUSE = 1_000
/** In ms. */
const LONGEST_PAUSE = 60_000
const MAX_TENANTS = 10_000

/** Remembers failed loads. A broken tenant is tried once per pause and not once per request, and its pauses grow. */
export class Failures {
  readonly #failures = new LRUCache<string, Failure>({ max: MAX_TENANTS })

  /** How many tenants failed to load and have not been loaded since. */
  get size (): number {
    return this.#failures.size
  }

  /** The error of the tenant's last load; `undefined` if it did not fail. */
  errorOf (id: string): unknown {
    return this.#failures.get(id)?.error
  }

  /** How long to wait before the next try, in s, rounded up; 0 when the tenant may be loaded. */
  pauseOf (id: string): number {
    const failure = this.#failures.get(id)
    return failure === undefined ? 0 : Math.max(0, Math.ceil((failure.retryAt - performance.now()) / 1000))
  }

  add (id: string, error: unknown): void {
    const count = (this.#failures.get(id)?.count ?? 0) + 1
    const pause = Math.min(FIRST_PAUSE * 2 ** (count - 1), LONGEST_PAUSE)
    this.#failures.set(id, { error, count, retryAt: performance.now() + pause })
  }

  forget (id: string): void {
    this.#failures.delete(id)
  }

  ids (): Iterable<string> {
    return this.#failures.keys()
  }
}
