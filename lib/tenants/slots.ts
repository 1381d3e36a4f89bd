import { busy } from './admission.ts'
import { Slot } from './slot.ts'
import type { Generation } from './generation.ts'
import type { BuildGeneration, RetireGeneration } from './slot.ts'

/** The slots by the ids of their tenants: as many as there is something in memory of. */
export class Slots implements Iterable<Slot> {
  readonly #slots = new Map<string, Slot>()
  readonly #build: BuildGeneration
  readonly #retire: RetireGeneration
  readonly #onEnd: () => void

  /** @param onEnd called when a generation is closed */
  constructor (build: BuildGeneration, retire: RetireGeneration, onEnd: () => void) {
    this.#build = build
    this.#retire = retire
    this.#onEnd = onEnd
  }

  [Symbol.iterator] (): Iterator<Slot> {
    return this.#slots.values()
  }

  get (id: string): Slot | undefined {
    return this.#slots.get(id)
  }

  /** The tenant's slot, made when there is none. Call `leave()` when it may hold nothing in the end. */
  getOrCreate (id: string): Slot {
    const known = this.#slots.get(id)
    if (known !== undefined) return known
    const slot = new Slot(id, this.#build, this.#retire, slot => {
      this.deleteIfEmpty(slot)
      this.#onEnd()
    })
    this.#slots.set(id, slot)
    return slot
  }

  /** Runs work that waits for the tenant, whose slot stays meanwhile. @throws FST_TENANT_BUSY when `most` wait already */
  async hold<Result> (id: string, most: number, work: (slot: Slot) => Promise<Result>): Promise<Result> {
    const slot = this.getOrCreate(id)
    if (slot.waiting >= most) throw busy(id)
    slot.waiting++
    try {
      return await work(slot)
    } finally {
      slot.waiting--
      this.deleteIfEmpty(slot)
    }
  }

  /** Forgets a slot that holds nothing. */
  deleteIfEmpty (slot: Slot): void {
    if (slot.vacant && this.#slots.get(slot.id) === slot) this.#slots.delete(slot.id)
  }

  /** Takes all tenants out of service, and waits until they have ended. */
  async clear (): Promise<void> {
    await Promise.all([...this].map(async slot => {
      await slot.clear()
      await slot.settled()
    }))
  }

  /** Those that take requests now. */
  generations (): Generation[] {
    return [...this].flatMap(({ current }) => current ?? [])
  }
}
