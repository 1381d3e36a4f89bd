import { LRUCache } from 'lru-cache'
import { FST_TENANT_LOAD_FAILED } from '../errors.ts'
import { retryAfter } from '../utils/retry-after.ts'

/** A tenant's failed loads, one after the other. */
interface Failure {
  error: unknown
  count: number
  /** ms, by a clock that nobody sets */
  retryAt: number
}

/** The first pause after a failed load, in ms; each further one is twice as long. */
const FIRST_PAUSE = 1_000
/** ms */
const LONGEST_PAUSE = 60_000
const MAX_TENANTS = 10_000

/** Remembers failed loads with growing pauses, so that a broken tenant is tried once a pause and not once a request. */
export class Failures {
  readonly #failures = new LRUCache<string, Failure>({ max: MAX_TENANTS })

  /** How many tenants failed to load and have not been loaded since. */
  get size (): number {
    return this.#failures.size
  }

  /** The error that the tenant's last load ended with; `undefined` when it did not fail. */
  errorOf (id: string): unknown {
    return this.#failures.get(id)?.error
  }

  /** How long not to try again, in s, rounded up; 0 when the tenant may be loaded. */
  pauseOf (id: string): number {
    const failure = this.#failures.get(id)
    return failure === undefined ? 0 : Math.max(0, Math.ceil((failure.retryAt - performance.now()) / 1000))
  }

  /** @throws FST_TENANT_LOAD_FAILED while the tenant is not to be tried again */
  check (id: string): void {
    const pause = this.pauseOf(id)
    if (pause > 0) throw retryAfter(new FST_TENANT_LOAD_FAILED(id, { cause: this.errorOf(id) }), pause)
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
