import { Slot } from './slot.ts'
import type { Generation } from './generation.ts'
import type { BuildGeneration, RetireGeneration } from './slot.ts'

/** The slots by the ids of their tenants: as many as there is something in memory of. */
export class Slots implements Iterable<Slot> {
  readonly #slots = new Map<string, Slot>()
  readonly #build: BuildGeneration
  readonly #retire: RetireGeneration

  constructor (build: BuildGeneration, retire: RetireGeneration) {
    this.#build = build
    this.#retire = retire
  }

  [Symbol.iterator] (): Iterator<Slot> {
    return this.#slots.values()
  }

  get (id: string): Slot | undefined {
    return this.#slots.get(id)
  }

  /** The tenant's slot, made when there is none. Call `leave()` when it may hold nothing in the end. */
  open (id: string): Slot {
    const known = this.#slots.get(id)
    if (known !== undefined) return known
    const slot = new Slot(id, this.#build, this.#retire, slot => this.leave(slot))
    this.#slots.set(id, slot)
    return slot
  }

  /** Forgets a slot that holds nothing. */
  leave (slot: Slot): void {
    if (slot.vacant && this.#slots.get(slot.id) === slot) this.#slots.delete(slot.id)
  }

  /** Those that take requests now. */
  generations (): Generation[] {
    return [...this].flatMap(({ current }) => current ?? [])
  }
}
