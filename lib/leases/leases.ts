import { Lease } from './lease.ts'
import type { Holder, LeaseOwner } from './lease.ts'
import type { TenantStatistics } from '../../types/index.ts'

/** The leases of a generation: one for each request and job that runs, and counts of all. */
export class Leases<Owner extends LeaseOwner> {
  readonly #generation: Owner
  /** By `performance.now()`, in ms. */
  #lastUsedAt = performance.now()
  #requests = 0
  #errors = 0
  #inFlight = 0
  #last: Lease<Owner> | undefined
  #onIdle: (() => void) | undefined

  constructor (generation: Owner) {
    this.#generation = generation
  }

  /** How many requests and jobs run. */
  get inFlight (): number {
    return this.#inFlight
  }

  /** When a request or job last began, or the last one that ran ended, by `performance.now()`, in ms. */
  get lastUsedAt (): number {
    return this.#lastUsedAt
  }

  /** Begins a request or a job. */
  acquire (holder: Holder): Lease<Owner> {
    this.#requests++
    if (this.#inFlight++ === 0) this.#generation.onBusy()
    const now = performance.now()
    this.#lastUsedAt = now
    const last = this.#last
    const lease = new Lease<Owner>(this.#generation, holder, now, last)
    if (last !== undefined) last.next = lease
    this.#last = lease
    return lease
  }

  /** Ends a request or a job. Call `lease.release()` instead, which does so only once. */
  release (lease: Lease<Owner>): void {
    const { previous, next, holder } = lease
    if (previous !== undefined) previous.next = next
    if (next !== undefined) next.previous = previous
    else this.#last = previous
    // Unlink it: a retained lease would keep every later one alive.
    lease.previous = lease.next = undefined
    if (holder.statusCode !== undefined && holder.statusCode >= 500) this.#errors++
    if (--this.#inFlight === 0) this.#becomeIdle()
  }

  /** The leases that are not released, oldest first. */
  list (): Array<Lease<Owner>> {
    const list: Array<Lease<Owner>> = []
    for (let lease = this.#last; lease !== undefined; lease = lease.previous) list.unshift(lease)
    return list
  }

  /** Resolves when no request or job runs any more, but no later than after `timeout` ms. */
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

  /** Called when the last request or job that ran has ended, and not for each. */
  #becomeIdle (): void {
    this.#lastUsedAt = performance.now()
    this.#generation.onIdle()
    this.#onIdle?.()
  }
}
