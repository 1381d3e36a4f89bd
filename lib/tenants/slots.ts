import { busy } from './refusals.ts'
import { Slot } from './slot.ts'
import type { EvictionPolicy } from './eviction-policy.ts'
import type { Generation } from './generation.ts'
import type { TenantLoader } from './loader.ts'
import type { Retirement } from './retirement.ts'

/** The objects that fill and empty slots. */
export interface SlotsContext {
  /** The slots by tenant id; empty at first. */
  slots: Map<string, Slot>
  evictionPolicy: EvictionPolicy
  loader: TenantLoader
  retirement: Retirement
}

/** The slots of the tenants in memory. */
export class Slots implements Iterable<Slot> {
  readonly #context: SlotsContext
  readonly #slots: Map<string, Slot>

  constructor (context: SlotsContext) {
    this.#context = context
    this.#slots = context.slots
  }

  [Symbol.iterator] (): Iterator<Slot> {
    return this.#slots.values()
  }

  get (id: string): Slot | undefined {
    return this.#slots.get(id)
  }

  /** The tenant's slot, created if there is none. Call `deleteIfEmpty()` if it may stay empty. */
  getOrCreate (id: string): Slot {
    const { evictionPolicy, loader, retirement } = this.#context
    const known = this.#slots.get(id)
    if (known !== undefined) return known
    const slot = new Slot(id, {
      build: (slot, build) => loader.build(slot, build),
      retire: generation => retirement.retire(generation),
      onClosed: slot => {
        this.deleteIfEmpty(slot)
        evictionPolicy.assignPlaces()
      }
    })
    this.#slots.set(id, slot)
    return slot
  }

  /**
   * Keeps the tenant's slot while `work` waits for the tenant.
   * @throws {FST_TENANT_BUSY} when `max` calls wait already
   */
  async hold<Result> (id: string, max: number, work: (slot: Slot) => Promise<Result>): Promise<Result> {
    const slot = this.getOrCreate(id)
    if (slot.waiting >= max) throw busy(id)
    slot.waiting++
    try {
      return await work(slot)
    } finally {
      slot.waiting--
      this.deleteIfEmpty(slot)
    }
  }

  deleteIfEmpty (slot: Slot): void {
    if (slot.isEmpty && this.#slots.get(slot.id) === slot) this.#slots.delete(slot.id)
  }

  /** Takes all tenants out of service, and waits until they have drained. */
  async clear (): Promise<void> {
    await Promise.all([...this].map(async slot => {
      await slot.clear()
      await slot.drained()
    }))
  }

  /** The generations that take requests. */
  generations (): Generation[] {
    return [...this].flatMap(({ current }) => current ?? [])
  }
}
