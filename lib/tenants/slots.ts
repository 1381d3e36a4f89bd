import { busy } from './overload.ts'
import { Slot } from '../generations/slot.ts'
import type { Generation } from './generation.ts'
import type { TenantLoader } from './loader.ts'
import type { TenantSlot } from './tenant-slot.ts'
import type { Retirement } from './retirement.ts'
import type { SlotFunctions } from '../generations/slot.ts'
import type { DrainReport, TenantDefinition } from '../../types/index.ts'

/** The objects that fill and empty slots. */
export interface SlotsContext {
  /** The slots by tenant id; empty at first. */
  slots: Map<string, TenantSlot>
  loader: TenantLoader
  retirement: Retirement
}

/** The slots of the tenants in memory. */
export class Slots implements Iterable<TenantSlot> {
  readonly #slots: Map<string, TenantSlot>
  readonly #functions: SlotFunctions<Generation, TenantDefinition, DrainReport>

  constructor ({ slots, loader, retirement }: SlotsContext) {
    this.#slots = slots
    this.#functions = {
      kind: 'tenant',
      build: (slot, build) => loader.build(slot, build),
      retire: generation => retirement.retire(generation),
      onClosed: slot => this.deleteIfEmpty(slot)
    }
  }

  [Symbol.iterator] (): Iterator<TenantSlot> {
    return this.#slots.values()
  }

  get (id: string): TenantSlot | undefined {
    return this.#slots.get(id)
  }

  /** The tenant's slot, created if there is none. Call `deleteIfEmpty()` if it may stay empty. */
  getOrCreate (id: string): TenantSlot {
    const known = this.#slots.get(id)
    if (known !== undefined) return known
    const slot = new Slot(id, this.#functions)
    this.#slots.set(id, slot)
    return slot
  }

  /**
   * Keeps the tenant's slot while `work` waits for the tenant.
   * @throws {FST_TENANT_BUSY} when `max` calls wait already
   */
  async hold<Result> (id: string, max: number, work: (slot: TenantSlot) => Promise<Result>): Promise<Result> {
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

  deleteIfEmpty (slot: TenantSlot): void {
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
