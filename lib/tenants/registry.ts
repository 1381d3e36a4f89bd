import { FST_TENANT_BUSY, FST_TENANT_CLOSED, FST_TENANT_LOAD_FAILED, FST_TENANT_LOAD_TIMEOUT, FST_TENANT_NOT_FOUND, FST_TENANT_SUSPENDED } from '../errors.ts'
import { InactiveTenantError } from '../loading/standard-config.ts'
import { publish } from './channels.ts'
import { withDeadline } from './deadline.ts'
import { Residency } from './residency.ts'
import { retryAfter } from './retry-after.ts'
import { Slot } from './slot.ts'
import type { Builder } from './builder.ts'
import type { Generation } from './generation.ts'
import type { Holder, Lease } from './lease.ts'
import type { Swap } from './slot.ts'
import type { ResolvedOptions } from '../options.ts'
import type { DrainReport } from '../../types/index.ts'

/** The tenants that are in memory, by id: what takes them in, and what puts them out. */
export class TenantRegistry {
  readonly #options: ResolvedOptions
  readonly #builder: Builder
  readonly #slots = new Map<string, Slot>()
  readonly #suspended = new Set<string>()
  readonly #residency: Residency
  #evictions = 0
  #closing = false

  constructor (options: ResolvedOptions, builder: Builder) {
    this.#options = options
    this.#builder = builder
    this.#residency = new Residency(options, this.#slots, slot => this.#evict(slot))
  }

  /** Tenants that were unloaded for being idle, since the start. */
  get evictions (): number {
    return this.#evictions
  }

  get slots (): Iterable<Slot> {
    return this.#slots.values()
  }

  get suspended (): ReadonlySet<string> {
    return this.#suspended
  }

  /** The generation that takes the tenant's requests now; `undefined` when it is not loaded. */
  active (id: string): Generation | undefined {
    return this.#slots.get(id)?.current
  }

  /** Whether as many requests of the tenant run as may. */
  isFull ({ leases }: Generation): boolean {
    const { maxInFlight } = this.#options
    return maxInFlight > 0 && leases.inFlight >= maxInFlight
  }

  /** To be called before a tenant's code is entered without a lease. @throws FST_TENANT_SUSPENDED */
  admit (id: string): void {
    if (this.#suspended.has(id)) throw new FST_TENANT_SUSPENDED(id)
  }

  /** Whether the tenant is loaded, or failed to. */
  isKnown (id: string): boolean {
    return this.active(id) !== undefined || this.#builder.failures.errorOf(id) !== undefined
  }

  /** What the last load or reload of a tenant in memory failed with. */
  lastErrorOf (id: string): unknown {
    return this.#slots.get(id)?.lastError
  }

  /** Whether a generation of the tenant is being built. */
  isBuilding (id: string): boolean {
    return this.#slots.get(id)?.building === true
  }

  /**
   * A lease of the tenant's generation: at once when it is loaded, else a promise.
   * Rejects as `enter` does, and with FST_TENANT_BUSY above `maxInFlight`.
   */
  claim (id: string, holder: Holder): Lease | Promise<Lease> {
    const generation = this.active(id)
    if (generation === undefined) return this.enter(id, holder)
    return this.isFull(generation) ? Promise.reject(busy(id)) : generation.leases.acquire(holder)
  }

  /**
   * A lease of the tenant's generation, which is loaded when it is not.
   * @throws FST_TENANT_NOT_FOUND, FST_TENANT_LOAD_FAILED, FST_TENANT_LOAD_TIMEOUT, FST_TENANT_SUSPENDED, FST_TENANT_BUSY,
   * FST_TENANT_OVERLOADED, FST_TENANT_CLOSED
   */
  async enter (id: string, holder: Holder): Promise<Lease> {
    this.#check(id)
    if (this.#builder.unknown.has(id)) throw new FST_TENANT_NOT_FOUND(id)
    if (this.#builder.suspended.has(id)) throw new FST_TENANT_SUSPENDED(id)
    const pause = this.#builder.failures.pauseOf(id)
    if (pause > 0 && this.active(id) === undefined) throw retryAfter(new FST_TENANT_LOAD_FAILED(id, { cause: this.#builder.failures.errorOf(id) }), pause)
    // Counted in before anything else can run: an eviction that came between would make the tenant load again and again.
    return this.#join(id, generation => {
      if (this.isFull(generation)) throw busy(id)
      return generation.leases.acquire(holder)
    })
  }

  /** The tenant's generation, loaded when it is not, whatever is remembered of it. @throws as `enter` */
  async load (id: string): Promise<Generation> {
    this.#check(id)
    return this.#join(id, generation => generation)
  }

  /**
   * Builds a new generation beside the current one and swaps them.
   * @throws as `enter`, and the current one keeps serving, unless the new config leaves the tenant out or its source has suspended it
   */
  async reload (id: string, code: boolean): Promise<Swap> {
    this.#check(id)
    const slot = this.#slotOf(id)
    try {
      return await this.#builder.waitFor(id, () => slot.reload(code))
    } catch (error) {
      // Not waited for: the reload may be asked for by a request of the tenant.
      if (error instanceof FST_TENANT_SUSPENDED || (error as Error).cause instanceof InactiveTenantError) slot.clear()
      this.#leave(slot)
      throw error
    }
  }

  /** Unloads the tenant when its requests are over; `null` when it is not loaded. */
  async unload (id: string): Promise<DrainReport | null> {
    const slot = this.#slots.get(id)
    if (slot === undefined) return null
    return slot.clear()
  }

  /** Refuses the tenant at every entry, and unloads it. @throws FST_TENANT_NOT_FOUND, FST_TENANT_LOAD_FAILED when the source fails */
  async suspend (id: string): Promise<DrainReport | null> {
    if (this.active(id) === undefined) await this.#builder.define(id)
    this.#suspended.add(id)
    return this.unload(id)
  }

  resume (id: string): void {
    this.#suspended.delete(id)
    this.#builder.failures.forget(id)
  }

  /** To be called when the app listens. */
  onListen (): void {
    for (const generation of this.#generations()) generation.scope.onListen()
  }

  /** Lets tenants end what would keep the app's server open. */
  async preClose (): Promise<void> {
    await Promise.all(this.#generations().map(generation => this.#builder.preClose(generation)))
  }

  /** Unloads every tenant, then closes the source. */
  async close (): Promise<void> {
    this.#closing = true
    this.#residency.close()
    await Promise.all([...this.#slots.values()].map(async slot => {
      await slot.clear()
      await slot.settled()
    }))
    await this.#builder.close()
    await this.#options.source.close?.()
  }

  #check (id: string): void {
    if (this.#closing) throw new FST_TENANT_CLOSED(id)
    this.admit(id)
    if (this.#builder.context.waitsForCaller(id)) throw new FST_TENANT_LOAD_FAILED(id, { cause: new Error('Loading this tenant waits for itself') })
  }

  #generations (): Generation[] {
    return [...this.#slots.values()].flatMap(({ current }) => current ?? [])
  }

  async #join<Claim> (id: string, claim: (generation: Generation) => Claim): Promise<Claim> {
    const slot = this.#slotOf(id)
    const { loadTimeout, maxWaiting } = this.#options
    if (slot.waiting >= maxWaiting) throw busy(id)
    slot.waiting++
    try {
      const loaded = this.#builder.waitFor(id, () => slot.load())
      const generation = await withDeadline(loaded, loadTimeout, () => retryAfter(new FST_TENANT_LOAD_TIMEOUT(id), 1))
      this.#check(id)
      if (!generation.active) return await this.#join(id, claim)
      return claim(generation)
    } finally {
      slot.waiting--
      this.#leave(slot)
    }
  }

  #slotOf (id: string): Slot {
    const known = this.#slots.get(id)
    if (known !== undefined) return known
    const slot = new Slot(id, (slot, number, freshCode) => this.#builder.build(slot, number, freshCode, this.#residency), generation => this.#builder.retire(generation), slot => this.#leave(slot))
    this.#slots.set(id, slot)
    return slot
  }

  /** Forgets a slot that holds nothing, so that the map is no longer than what is in memory. */
  #leave (slot: Slot): void {
    if (slot.vacant && this.#slots.get(slot.id) === slot) this.#slots.delete(slot.id)
  }

  #evict (slot: Slot): void {
    this.#evictions++
    publish('evict', { id: slot.id, generation: slot.current!.number })
    slot.clear()
  }
}

function busy (id: string): Error {
  return retryAfter(new FST_TENANT_BUSY(id), 1)
}
