import { FST_TENANT_BUSY, FST_TENANT_CLOSED, FST_TENANT_LOAD_FAILED, FST_TENANT_SUSPENDED } from '../errors.ts'
import { retryAfter } from '../utils/retry-after.ts'
import type { Generation } from './generation.ts'
import type { LoadContext } from './load-context.ts'

/** Says which tenants may be entered, and by how many. */
export class Admission {
  readonly #maxInFlight: number
  readonly #context: LoadContext
  readonly #suspended = new Set<string>()
  #closed = false

  /** @param maxInFlight 0 = no limit */
  constructor (maxInFlight: number, context: LoadContext) {
    this.#maxInFlight = maxInFlight
    this.#context = context
  }

  get suspended (): ReadonlySet<string> {
    return this.#suspended
  }

  suspend (id: string): void {
    this.#suspended.add(id)
  }

  resume (id: string): void {
    this.#suspended.delete(id)
  }

  /** Admits nobody from now on. */
  close (): void {
    this.#closed = true
  }

  /** To be called before a tenant's code is entered without a lease. @throws FST_TENANT_SUSPENDED */
  admit (id: string): void {
    if (this.#suspended.has(id)) throw new FST_TENANT_SUSPENDED(id)
  }

  /** To be called before a tenant is loaded. @throws FST_TENANT_CLOSED, FST_TENANT_SUSPENDED, FST_TENANT_LOAD_FAILED when the load would wait for itself */
  admitToLoad (id: string): void {
    if (this.#closed) throw new FST_TENANT_CLOSED(id)
    this.admit(id)
    this.refuseItself(id)
  }

  /** To be called before a load is waited for. @throws FST_TENANT_LOAD_FAILED when that load waits for the caller's */
  refuseItself (id: string): void {
    if (this.#context.waitsForCaller(id)) throw new FST_TENANT_LOAD_FAILED(id, { cause: new Error('Loading this tenant waits for itself') })
  }

  /** Whether as many requests of the tenant run as may. */
  isFull ({ leases }: Generation): boolean {
    return this.#maxInFlight > 0 && leases.inFlight >= this.#maxInFlight
  }
}

/** The refusal of what would be too many. */
export function busy (id: string): Error {
  return retryAfter(new FST_TENANT_BUSY(id), 1)
}
