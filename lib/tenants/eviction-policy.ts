import { FST_TENANT_CLOSED } from '../errors.ts'
import { publish } from './channels.ts'
import { withDeadline } from '../utils/deadline.ts'
import { debug } from '../utils/debug.ts'
import { overloaded } from './refusals.ts'
import type { ResolvedOptions } from '../options.ts'
import type { Slot } from './slot.ts'

type Limits = Pick<ResolvedOptions, 'maxActive' | 'idleTimeout' | 'loadTimeout'>

/** A tenant that waits for a place. */
interface Waiting {
  readonly slot: Slot
  resolve (): void
  reject (error: Error): void
}

/** Decides which tenants stay loaded. At most `maxActive` have a place, including those that drain. A tenant that is idle for longer than `idleTimeout` is unloaded. */
export class EvictionPolicy {
  readonly #options: Limits
  readonly #slots: ReadonlyMap<string, Slot>
  readonly #timer: NodeJS.Timeout | undefined
  /** No longer than the number of loads that run at a time. */
  #waiting: Waiting[] = []
  #evictions = 0

  constructor (options: Limits, slots: ReadonlyMap<string, Slot>) {
    this.#options = options
    this.#slots = slots
    if (options.idleTimeout > 0) this.#timer = setInterval(() => this.#evictIdle(), options.idleTimeout / 2).unref()
  }

  /** How many tenants have been evicted since the start. */
  get evictions (): number {
    return this.#evictions
  }

  /**
   * Keeps a place for the tenant and runs `load`. If all places are taken, it evicts the least recently used idle tenant, and waits until that tenant has closed.
   * A busy tenant is never evicted.
   * @throws {FST_TENANT_OVERLOADED} when all tenants are busy, or no place becomes free within `loadTimeout`
   * @throws {FST_TENANT_CLOSED} when the app closes meanwhile
   */
  async withPlace<Result> (slot: Slot, load: () => Promise<Result>): Promise<Result> {
    // A reload uses the place that the tenant has.
    if (slot.hasPlace) return load()
    if (this.#isRoom()) slot.hasPlace = true
    else await this.#wait(slot)
    try {
      return await load()
    } catch (error) {
      slot.hasPlace = false
      this.assignPlaces()
      throw error
    }
  }

  /** Gives free places to the tenants that wait. Call this when a place may have become free. */
  assignPlaces (): void {
    while (this.#waiting.length > 0 && this.#isRoom()) {
      for (const { slot, resolve } of this.#waiting.splice(0, 1)) {
        slot.hasPlace = true
        resolve()
      }
    }
  }

  /** Refuses the tenants that wait. */
  close (): void {
    clearInterval(this.#timer)
    for (const { slot, reject } of this.#waiting.splice(0)) reject(new FST_TENANT_CLOSED(slot.id))
  }

  #isRoom (): boolean {
    let places = 0
    for (const { hasPlace, drainingPlaces } of this.#slots.values()) places += drainingPlaces + (hasPlace ? 1 : 0)
    return places < this.#options.maxActive
  }

  /**
   * Evicts a tenant, unless enough tenants drain already for this one and all that wait.
   * @throws {FST_TENANT_OVERLOADED} when no tenant is idle
   */
  #makeRoom (id: string): void {
    const slots = [...this.#slots.values()]
    const draining = slots.reduce((sum, { drainingPlaces }) => sum + drainingPlaces, 0)
    if (draining <= this.#waiting.length) this.#evict(leastRecentlyUsed(slots.filter(isIdle), id))
  }

  async #wait (slot: Slot): Promise<void> {
    this.#makeRoom(slot.id)
    const place = new Promise<void>((resolve, reject) => this.#waiting.push({ slot, resolve, reject }))
    try {
      await withDeadline(place, this.#options.loadTimeout, () => overloaded(slot.id))
    } catch (error) {
      this.#waiting = this.#waiting.filter(waiting => waiting.slot !== slot)
      throw error
    }
  }

  #evict (slot: Slot): void {
    this.#evictions++
    const { number } = slot.current!
    debug?.("tenant '%s', generation %d: evicted", slot.id, number)
    publish('evict', { id: slot.id, generation: number })
    slot.clear()
  }

  #evictIdle (): void {
    const before = performance.now() - this.#options.idleTimeout
    for (const slot of this.#slots.values()) {
      if (isIdle(slot) && slot.current!.leases.lastUsedAt <= before) this.#evict(slot)
    }
  }
}

/** Whether nothing uses the tenant. A reload counts as use. */
function isIdle (slot: Slot): boolean {
  return slot.current !== undefined && slot.current.leases.inFlight === 0 && !slot.building && slot.waiting === 0
}

/**
 * @param id the tenant that needs a place
 * @throws {FST_TENANT_OVERLOADED} when there are no slots
 */
function leastRecentlyUsed ([first, ...others]: readonly Slot[], id: string): Slot {
  if (first === undefined) throw overloaded(id)
  return others.reduce((oldest, slot) => lastUse(slot) < lastUse(oldest) ? slot : oldest, first)
}

function lastUse (slot: Slot): number {
  return slot.current!.leases.lastUse
}
