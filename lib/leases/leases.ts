import { Lease } from './lease.ts'
import type { Holder, LeaseOwner } from './lease.ts'
import type { UseClock } from './use-clock.ts'
import type { TenantStatistics } from '../../types/index.ts'

/** The requests and jobs of a generation: those that run, and the counts of all. */
export class Leases<Owner extends LeaseOwner> {
  readonly #generation: Owner
  readonly #clock: UseClock
  #lastUse: number
  /** ms, by a clock that nobody sets */
  #lastUsedAt = performance.now()
  #requests = 0
  #errors = 0
  #inFlight = 0
  #last: Lease<Owner> | undefined
  #onIdle: (() => void) | undefined

  constructor (generation: Owner, clock: UseClock) {
    this.#generation = generation
    this.#clock = clock
    this.#lastUse = clock.next()
  }

  /** How many run now. */
  get inFlight (): number {
    return this.#inFlight
  }

  /** When the last one came, by the clock of all tenants; the load itself counts. */
  get lastUse (): number {
    return this.#lastUse
  }

  /** When the last one came or ended, in ms, by a clock that nobody sets. */
  get lastUsedAt (): number {
    return this.#lastUsedAt
  }

  /** Counts a request or a job in. */
  acquire (holder: Holder): Lease<Owner> {
    this.#requests++
    this.#inFlight++
    this.#lastUse = this.#clock.next()
    this.#lastUsedAt = performance.now()
    const lease = new Lease<Owner>(this.#generation, holder, this.#lastUsedAt)
    lease.previous = this.#last
    if (this.#last !== undefined) this.#last.next = lease
    this.#last = lease
    return lease
  }

  /** Counts a request or a job out: call `lease.release()`, which does so once. */
  release (lease: Lease<Owner>): void {
    const { previous, next, holder } = lease
    // Else one that is kept, or that the collector has found old, would keep all that came after it.
    lease.previous = lease.next = undefined
    if (previous !== undefined) previous.next = next
    if (next !== undefined) next.previous = previous
    else this.#last = previous
    this.#lastUsedAt = performance.now()
    if (holder.statusCode !== undefined && holder.statusCode >= 500) this.#errors++
    if (--this.#inFlight === 0) this.#onIdle?.()
  }

  /** Those that run now, the first first. */
  list (): Array<Lease<Owner>> {
    const open: Array<Lease<Owner>> = []
    for (let lease = this.#last; lease !== undefined; lease = lease.previous) open.unshift(lease)
    return open
  }

  /** Resolves when none runs any more, after `timeout` ms at the latest. */
  idle (timeout: number): Promise<void> {
    if (this.#inFlight === 0) return Promise.resolve()
    return new Promise(resolve => {
      const timer = setTimeout(resolve, timeout)
      this.#onIdle = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  statistics (): Pick<TenantStatistics, 'inFlight' | 'requests' | 'errors' | 'lastUsedAt'> {
    const lastUsedAt = this.#requests === 0 ? null : new Date(Date.now() - (performance.now() - this.#lastUsedAt))
    return { inFlight: this.#inFlight, requests: this.#requests, errors: this.#errors, lastUsedAt }
  }
}
