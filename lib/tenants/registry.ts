import { FST_TENANT_LOAD_TIMEOUT, FST_TENANT_NOT_FOUND, FST_TENANT_SUSPENDED } from '../errors.ts'
import { Admission, busy } from './admission.ts'
import { withDeadline } from '../utils/deadline.ts'
import { Lookups } from './lookups.ts'
import { EvictionPolicy } from './eviction-policy.ts'
import { retryAfter } from '../utils/retry-after.ts'
import { Slots } from './slots.ts'
import type { TenantLoader } from './loader.ts'
import type { Definitions } from './definitions.ts'
import type { Generation } from './generation.ts'
import type { Holder, Lease } from '../leases/lease.ts'
import type { Retirement } from './retirement.ts'
import type { Swap } from './slot.ts'
import type { ResolvedOptions } from '../options.ts'
import type { DrainReport, TenantDefinition } from '../../types/index.ts'

/** What the tenants in memory come from, and where they go. */
export interface RegistryContext {
  options: ResolvedOptions
  definitions: Definitions
  builder: TenantLoader
  retirement: Retirement
}

/** The tenants that are in memory: what takes them in, and what puts them out. */
export class TenantRegistry {
  readonly slots: Slots
  readonly admission: Admission
  readonly residency: EvictionPolicy
  readonly lookups: Lookups
  readonly #context: RegistryContext

  constructor (context: RegistryContext) {
    const { options, definitions, builder, retirement } = context
    this.#context = context
    this.slots = new Slots(
      (slot, build) => builder.build(slot, build, this.residency),
      generation => retirement.retire(generation),
      () => this.residency.freed())
    this.admission = new Admission(options.maxInFlight, builder.context)
    this.residency = new EvictionPolicy(options, this.slots)
    this.lookups = new Lookups(definitions, options)
  }

  /** The generation that takes the tenant's requests now; `undefined` when it is not loaded. */
  active (id: string): Generation | undefined {
    return this.slots.get(id)?.current
  }

  /** Whether the tenant is loaded, or failed to. */
  isKnown (id: string): boolean {
    return this.active(id) !== undefined || this.#context.builder.failures.errorOf(id) !== undefined
  }

  /**
   * A lease of the tenant's generation: at once when it is loaded, else a promise of it when it has been.
   * Rejects with FST_TENANT_NOT_FOUND, FST_TENANT_LOAD_FAILED, FST_TENANT_LOAD_TIMEOUT, FST_TENANT_SUSPENDED, FST_TENANT_BUSY,
   * FST_TENANT_OVERLOADED, FST_TENANT_CLOSED.
   */
  claim (id: string, holder: Holder): Lease<Generation> | Promise<Lease<Generation>> {
    const generation = this.active(id)
    if (generation === undefined) return this.#enter(id, holder)
    return this.admission.isFull(generation) ? Promise.reject(busy(id)) : generation.leases.acquire(holder)
  }

  /** The tenant's generation, loaded when it is not, whatever is remembered of it. @throws as `claim` */
  async load (id: string): Promise<Generation> {
    this.admission.admitToLoad(id)
    return this.#find(id, undefined, generation => generation)
  }

  /**
   * Builds a new generation beside the current one and swaps them.
   * @throws as `claim`, and the current one keeps serving, unless the tenant is gone, its new config leaves it out, or its source has suspended it
   */
  async reload (id: string, code: boolean): Promise<Swap> {
    this.admission.admitToLoad(id)
    const slot = this.slots.getOrCreate(id)
    try {
      return await this.#context.builder.waitFor(id, () => slot.reload(code))
    } catch (error) {
      // Not waited for: the reload may be asked for by a request of the tenant.
      if (error instanceof FST_TENANT_SUSPENDED || error instanceof FST_TENANT_NOT_FOUND) slot.clear()
      this.slots.deleteIfEmpty(slot)
      throw error
    }
  }

  /** Unloads the tenant when its requests are over; `null` when it is not loaded. Not to be awaited by the tenant's own load. */
  async unload (id: string): Promise<DrainReport | null> {
    return this.slots.get(id)?.clear() ?? null
  }

  /** As `unload`, for a generation that may be ending already: then this waits until it has ended. */
  async end (id: string, isEnding: boolean): Promise<void> {
    await (isEnding ? this.slots.get(id)?.settled() : this.unload(id))
  }

  /** Refuses the tenant at every entry, and unloads it. @throws FST_TENANT_NOT_FOUND, FST_TENANT_LOAD_FAILED when the source fails, or its own load asks for it */
  async suspend (id: string): Promise<DrainReport | null> {
    this.admission.refuseItself(id)
    if (this.active(id) === undefined) await this.#context.definitions.get(id)
    this.admission.suspend(id)
    return this.unload(id)
  }

  resume (id: string): void {
    this.admission.resume(id)
    this.#context.builder.failures.forget(id)
  }

  /** To be called when the app listens. */
  onListen (): void {
    for (const generation of this.slots.generations()) generation.scope.onListen()
  }

  /** Lets tenants end what would keep the app's server open. */
  async preClose (): Promise<void> {
    await Promise.all(this.slots.generations().map(generation => this.#context.retirement.preClose(generation)))
  }

  /** Unloads every tenant, then closes the source. */
  async close (): Promise<void> {
    this.admission.close()
    this.residency.close()
    await Promise.all([this.lookups.close(), this.slots.clear()])
    await this.#context.builder.close()
    await this.#context.options.source.close?.()
  }

  async #enter (id: string, holder: Holder): Promise<Lease<Generation>> {
    const { builder, definitions } = this.#context
    this.admission.admitToLoad(id)
    definitions.check(id)
    builder.failures.check(id)
    // Counted in before anything else can run: an eviction that came between would make the tenant load again and again.
    return this.#find(id, holder, generation => {
      if (this.admission.isFull(generation)) throw busy(id)
      return generation.leases.acquire(holder)
    })
  }

  /** Looks the tenant up unless it is in memory: an id that is made up is to take no place among the loads. */
  async #find<Claim> (id: string, holder: Holder | undefined, claim: (generation: Generation) => Claim): Promise<Claim> {
    const end = performance.now() + this.#context.options.loadTimeout
    const definition = this.slots.get(id)?.wanted === true ? undefined : await this.lookups.find(id, holder)
    this.admission.admitToLoad(id)
    return this.#join(id, claim, end, definition)
  }

  async #join<Claim> (id: string, claim: (generation: Generation) => Claim, end: number, definition?: TenantDefinition): Promise<Claim> {
    const { builder, options: { maxWaiting } } = this.#context
    return this.slots.hold(id, maxWaiting, async slot => {
      const loaded = builder.waitFor(id, () => slot.load(definition))
      const generation = await withDeadline(loaded, end - performance.now(), () => retryAfter(new FST_TENANT_LOAD_TIMEOUT(id), 1))
      this.admission.admitToLoad(id)
      return generation.active ? claim(generation) : await this.#join(id, claim, end)
    })
  }
}
