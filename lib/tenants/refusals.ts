import { FST_TENANT_CLOSED, FST_TENANT_LOAD_FAILED, FST_TENANT_NOT_FOUND, FST_TENANT_SUSPENDED } from '../errors.ts'
import { Failures } from '../generations/failures.ts'
import { NegativeCache } from './negative-cache.ts'
import { retryAfter } from '../utils/retry-after.ts'
import type { Generation } from './generation.ts'
import type { LoadContext } from '../generations/load-context.ts'

/** Decides which tenants are refused without asking their source, and why. */
export class Refusals {
  /** The ids that the source does not know. */
  readonly unknown = new NegativeCache()
  /** The ids of the tenants that the source has suspended. */
  readonly suspendedBySource = new NegativeCache()
  /** The tenants that failed to load. */
  readonly failures = new Failures()
  readonly #suspended = new Set<string>()
  readonly #maxInFlight: number
  readonly #loads: LoadContext
  #closed = false

  /** @param maxInFlight 0 = no limit */
  constructor (maxInFlight: number, loads: LoadContext) {
    this.#maxInFlight = maxInFlight
    this.#loads = loads
  }

  /** The tenants that the app has suspended. */
  get suspended (): ReadonlySet<string> {
    return this.#suspended
  }

  /** Refuses all requests and jobs of the tenant, and its loads. */
  suspend (id: string): void {
    this.#suspended.add(id)
  }

  /** Ends the suspension by `suspend()`, and the pause after a failed load. */
  resume (id: string): void {
    this.#suspended.delete(id)
    this.failures.forget(id)
  }

  /** Refuses all tenants from now on. */
  close (): void {
    this.#closed = true
  }

  /**
   * Call this before the tenant's code runs without a lease.
   * @throws {FST_TENANT_SUSPENDED} when the app has suspended the tenant
   */
  admit (id: string): void {
    if (this.#suspended.has(id)) throw new FST_TENANT_SUSPENDED(id)
  }

  /**
   * Call this before the tenant is loaded.
   * @throws {FST_TENANT_CLOSED}
   * @throws {FST_TENANT_SUSPENDED} when the app has suspended the tenant
   * @throws {FST_TENANT_LOAD_FAILED} when the load would wait for itself
   */
  admitLoad (id: string): void {
    if (this.#closed) throw new FST_TENANT_CLOSED(id)
    this.admit(id)
    this.refuseCircularLoad(id)
  }

  /**
   * Call this before a request or a job loads the tenant.
   * @throws {FST_TENANT_CLOSED}
   * @throws {FST_TENANT_NOT_FOUND} when the source did not know the tenant a moment ago
   * @throws {FST_TENANT_SUSPENDED} when the app or the source has suspended the tenant
   * @throws {FST_TENANT_LOAD_FAILED} during the pause after a failed load, and when the load would wait for itself
   */
  admitRequest (id: string): void {
    this.admitLoad(id)
    if (this.unknown.has(id)) throw new FST_TENANT_NOT_FOUND(id)
    if (this.suspendedBySource.has(id)) throw new FST_TENANT_SUSPENDED(id)
    const pause = this.failures.pauseOf(id)
    if (pause > 0) throw retryAfter(new FST_TENANT_LOAD_FAILED(id, { cause: this.failures.errorOf(id) }), pause)
  }

  /**
   * Call this before waiting for a load of the tenant.
   * @throws {FST_TENANT_LOAD_FAILED} when that load waits for the caller's load
   */
  refuseCircularLoad (id: string): void {
    if (this.#loads.waitsForCaller(id)) throw new FST_TENANT_LOAD_FAILED(id, { cause: new Error('Loading this tenant waits for itself') })
  }

  /** Whether the tenant already runs as many requests and jobs as `maxInFlight` allows. */
  isFull ({ leases }: Generation): boolean {
    return this.#maxInFlight > 0 && leases.inFlight >= this.#maxInFlight
  }

  /** Call this when the tenant has been loaded. */
  loaded (id: string): void {
    this.failures.forget(id)
    this.unknown.forget(id)
    this.suspendedBySource.forget(id)
  }

  /** Call this when a template has been loaded: the tenants that failed because of it may be loaded again at once. */
  templateLoaded (name: string): void {
    for (const id of [...this.failures.ids()]) {
      if ((this.failures.errorOf(id) as { template?: unknown } | undefined)?.template === name) this.failures.forget(id)
    }
  }

  /** Call this when the tenant may have changed. */
  changed (id: string): void {
    this.failures.forget(id)
    this.unknown.changed(id)
    this.suspendedBySource.changed(id)
  }

  /** Call this when any tenant may have changed. */
  anyChanged (): void {
    this.unknown.clear()
    this.suspendedBySource.clear()
  }
}
