import type { ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { isClosed } from '../leases/response-lease.ts'
import { withResolvers } from '../utils/with-resolvers.ts'
import type { Holder } from '../leases/lease.ts'
import type { TenantDefinition } from '../../types/index.ts'

/** The definition of a tenant, or the error that explains why there is none. */
export type Outcome = TenantDefinition | Error

/** A request or a job that waits for a look-up. */
export interface Waiter {
  readonly lookup: Lookup
  /** `undefined` when the app itself waits. */
  readonly holder: Holder | undefined
  readonly definition: Promise<TenantDefinition>
  /** Settles `definition`. Later calls do nothing. */
  finish (outcome: Outcome): void
}

/** One look-up of an id, which many may wait for. */
export class Lookup {
  readonly id: string
  /** Whether the source has been asked. */
  sent = false
  /** Whether the tenant may have changed since the source was asked, so that the source must be asked again. */
  stale = false
  readonly #onEnd: () => void
  readonly #waiters = new Set<Waiter>()

  /** @param onEnd called when the look-up is over, or when all have stopped waiting before the source was asked */
  constructor (id: string, onEnd: () => void) {
    this.id = id
    this.#onEnd = onEnd
  }

  /** How many requests and jobs wait. */
  get waiting (): number {
    return this.#waiters.size
  }

  has (waiter: Waiter): boolean {
    return this.#waiters.has(waiter)
  }

  add (holder: Holder | undefined): Waiter {
    const { promise: definition, resolve, reject } = withResolvers<TenantDefinition>()
    const waiter: Waiter = {
      lookup: this,
      holder,
      definition,
      finish: outcome => {
        if (outcome instanceof Error) reject(outcome)
        else resolve(outcome)
        this.#remove(waiter)
      }
    }
    this.#waiters.add(waiter)
    return waiter
  }

  /** Gives the outcome to all who wait. */
  finish (outcome: Outcome): void {
    this.sent = true
    for (const waiter of this.#waiters) waiter.finish(outcome)
    this.end()
  }

  /** Call this when the look-up is over. */
  end (): void {
    this.#onEnd()
  }

  #remove (waiter: Waiter): void {
    if (this.#waiters.delete(waiter) && this.waiting === 0 && !this.sent) this.end()
  }
}

/** Whether the waiter has its outcome, or its client has left. */
export function isGone (waiter: Waiter): boolean {
  const { lookup, holder } = waiter
  return !lookup.has(waiter) || (holder !== undefined && isClosed(holder as ServerResponse))
}

/** The connection counts as one client of the queue, over HTTP/2 too. Jobs and the app itself have none: together they count as one client. */
export function connectionOf (holder: Holder | undefined): unknown {
  const request = holder?.req as { socket?: object, stream?: { session?: object } } | undefined
  return request?.stream?.session ?? request?.socket
}

/** Whether a client sent the request: one of `inject()` has no real socket. */
export function isFromSocket ({ req }: Holder): boolean {
  return (req as { socket?: unknown }).socket instanceof Socket
}
