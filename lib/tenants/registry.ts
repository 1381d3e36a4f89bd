import { FST_TENANT_LOAD_TIMEOUT, FST_TENANT_NOT_FOUND, FST_TENANT_SUSPENDED } from '../errors.ts'
import { busy } from './overload.ts'
import { withDeadline } from '../utils/deadline.ts'
import { isFromSocket } from './lookup.ts'
import { retryAfter } from '../utils/retry-after.ts'
import { Slots } from './slots.ts'
import type { BootContext } from '../generations/boot-context.ts'
import type { Definitions } from './definitions.ts'
import type { EvictionPolicy } from './eviction-policy.ts'
import type { Generation } from './generation.ts'
import type { Lookups } from './lookups.ts'
import type { Holder, Lease } from '../leases/lease.ts'
import type { Refusals } from './refusals.ts'
import type { Swap } from '../generations/slot.ts'
import type { Templates } from '../templates/templates.ts'
import type { SlotsContext } from './slots.ts'
import type { ResolvedOptions } from '../options.ts'
import type { DrainReport, TenantDefinition } from '../../types/index.ts'

/** The objects that load, refuse and unload tenants. */
export interface RegistryContext extends SlotsContext {
  templates: Templates
  evictionPolicy: EvictionPolicy
  options: ResolvedOptions
  refusals: Refusals
  definitions: Definitions
  lookups: Lookups
  boot: BootContext
}

/** The tenants in memory: loads them when they are needed, and unloads them. */
export class TenantRegistry {
  readonly slots: Slots
  readonly refusals: Refusals
  readonly lookups: Lookups
  readonly #context: RegistryContext

  constructor (context: RegistryContext) {
    this.#context = context
    this.slots = new Slots(context)
    this.refusals = context.refusals
    this.lookups = context.lookups
  }

  /** The generation that takes the tenant's requests; `undefined` when the tenant is not loaded. */
  active (id: string): Generation | undefined {
    return this.slots.get(id)?.current
  }

  /** Whether the tenant is loaded or failed to load. */
  isKnown (id: string): boolean {
    return this.active(id) !== undefined || this.refusals.failures.errorOf(id) !== undefined
  }

  /**
   * A lease of the tenant's generation. Returned at once if the tenant is loaded, otherwise a promise that resolves when it is.
   * @throws {FST_TENANT_NOT_FOUND}
   * @throws {FST_TENANT_LOAD_FAILED}
   * @throws {FST_TENANT_LOAD_TIMEOUT}
   * @throws {FST_TENANT_SUSPENDED}
   * @throws {FST_TENANT_BUSY}
   * @throws {FST_TENANT_OVERLOADED}
   * @throws {FST_TENANT_CLOSED}
   */
  claim (id: string, holder: Holder): Lease<Generation> | Promise<Lease<Generation>> {
    const generation = this.active(id)
    // A pool of callbacks may continue a request in the async context of a load. A request from a socket never belongs to a load.
    if (generation === undefined) return isFromSocket(holder) ? this.#context.boot.run(() => this.#loadAndAcquire(id, holder)) : this.#loadAndAcquire(id, holder)
    return this.refusals.isFull(generation) ? Promise.reject(busy(id)) : generation.leases.acquire(holder)
  }

  /** The tenant's generation, loaded if necessary, even if the tenant was unknown or failed a moment ago. Throws the errors of `claim()`. */
  async load (id: string): Promise<Generation> {
    this.refusals.admitLoad(id)
    return this.#lookUpAndLoad(id, undefined, generation => generation)
  }

  /**
   * Builds a new generation beside the current one and swaps the two. Throws the errors of `claim()`. After an error the current one keeps
   * serving, unless the source no longer knows the tenant or has suspended it, or the new config makes it inactive.
   */
  async reload (id: string, freshCode: boolean): Promise<Swap<Generation, DrainReport>> {
    this.refusals.admitLoad(id)
    const slot = this.slots.getOrCreate(id)
    try {
      return await this.#context.loader.waitFor(id, () => slot.reload(freshCode))
    } catch (error) {
      // Not awaited: a request of the tenant may have asked for the reload, and clear() waits for that request.
      if (error instanceof FST_TENANT_SUSPENDED || error instanceof FST_TENANT_NOT_FOUND) slot.clear()
      this.slots.deleteIfEmpty(slot)
      throw error
    }
  }

  /** Drains and unloads the tenant. Resolves to `null` when it is not loaded. The tenant's own load must not await this. */
  async unload (id: string): Promise<DrainReport | null> {
    return this.slots.get(id)?.clear() ?? null
  }

  /**
   * Refuses the tenant's requests, jobs and loads, and unloads it.
   * @throws {FST_TENANT_NOT_FOUND}
   * @throws {FST_TENANT_LOAD_FAILED} when the source fails, or the tenant's own load calls this
   */
  async suspend (id: string): Promise<DrainReport | null> {
    this.refusals.refuseCircularLoad(id)
    if (this.active(id) === undefined) await this.#context.definitions.get(id)
    this.refusals.suspend(id)
    return this.unload(id)
  }

  /** Call this when the app listens. */
  onListen (): void {
    this.#context.templates.onListen()
    for (const generation of this.slots.generations()) generation.scope?.onListen()
  }

  /** Runs the preClose hooks of all tenants and templates. They end connections that would keep the app's server open. */
  async preClose (): Promise<void> {
    await Promise.all(this.slots.generations().map(generation => this.#context.retirement.preClose(generation)))
    await this.#context.templates.preClose()
  }

  /** Unloads every tenant, then closes the templates and the source. */
  async close (): Promise<void> {
    this.refusals.close()
    this.#context.evictionPolicy.close()
    await Promise.all([this.lookups.close(), this.slots.clear()])
    await this.#context.templates.close()
    this.#context.loader.close()
    await this.#context.options.source.close?.()
  }

  async #loadAndAcquire (id: string, holder: Holder): Promise<Lease<Generation>> {
    this.refusals.admitRequest(id)
    // Acquire in the tick in which the tenant is found. Otherwise it could be evicted in between, again and again.
    return this.#lookUpAndLoad(id, holder, generation => {
      if (this.refusals.isFull(generation)) throw busy(id)
      return generation.leases.acquire(holder)
    })
  }

  /** Looks the tenant up first unless it is in memory, so that requests for unknown ids never reach the load queue. */
  async #lookUpAndLoad<Claim> (id: string, holder: Holder | undefined, claim: (generation: Generation) => Claim): Promise<Claim> {
    const end = performance.now() + this.#context.options.loadTimeout
    const definition = this.slots.get(id)?.loadedOrLoading === true ? undefined : await this.lookups.find(id, holder)
    this.refusals.admitLoad(id)
    return this.#loadInSlot(id, claim, end, definition)
  }

  async #loadInSlot<Claim> (id: string, claim: (generation: Generation) => Claim, end: number, definition?: TenantDefinition): Promise<Claim> {
    return this.slots.hold(id, this.#context.options.maxWaiting, async slot => {
      const loaded = this.#context.loader.waitFor(id, () => slot.load(definition))
      const generation = await withDeadline(loaded, end - performance.now(), () => retryAfter(new FST_TENANT_LOAD_TIMEOUT(id), 1))
      this.refusals.admitLoad(id)
      // Load again if the generation was taken out of service meanwhile.
      return generation.active ? claim(generation) : await this.#loadInSlot(id, claim, end)
    })
  }
}
