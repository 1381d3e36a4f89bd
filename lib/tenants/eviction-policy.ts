import { FST_TENANT_CLOSED, FST_TENANT_OVERLOADED } from '../errors.ts'
import { publish } from './channels.ts'
import { withDeadline } from '../utils/deadline.ts'
import { retryAfter } from '../utils/retry-after.ts'
import type { Slot } from './slot.ts'

/** What decides who stays. */
export interface EvictionOptions {
  readonly maxActive: number
  /** ms; 0 = never */
  readonly idleTimeout: number
  /** ms */
  readonly loadTimeout: number
}

/** A tenant that is to be loaded when there is a place. */
interface Waiting {
  readonly slot: Slot
  resolve (): void
  reject (error: Error): void
}

/** Says which tenants stay loaded: at most `maxActive`, those that end included, and none that was idle for longer than `idleTimeout`. */
export class EvictionPolicy {
  readonly #options: EvictionOptions
  readonly #slots: Iterable<Slot>
  readonly #sweeper: NodeJS.Timeout | undefined
  /** At most as many as may be loaded at a time. */
  #waiting: Waiting[] = []
  #evictions = 0

  constructor (options: EvictionOptions, slots: Iterable<Slot>) {
    this.#options = options
    this.#slots = slots
    if (options.idleTimeout > 0) this.#sweeper = setInterval(() => this.#sweep(), options.idleTimeout / 2).unref()
  }

  /** How many tenants it has unloaded, since the start. */
  get evictions (): number {
    return this.#evictions
  }

  /**
   * Runs `load` with a place kept for the tenant. The least recently used idle one makes room, a busy one never: `load` waits until it has ended.
   * @throws FST_TENANT_OVERLOADED when all are busy, or none has ended within `loadTimeout`
   */
  async place<Result> (slot: Slot, load: () => Promise<Result>): Promise<Result> {
    // A reload takes the place that the tenant has.
    if (slot.resident) return load()
    if (this.#isRoom()) slot.resident = true
    else await this.#wait(slot)
    try {
      return await load()
    } catch (error) {
      slot.resident = false
      this.freed()
      throw error
    }
  }

  /** To be called when a place may have come free. */
  freed (): void {
    while (this.#waiting.length > 0 && this.#isRoom()) {
      for (const { slot, resolve } of this.#waiting.splice(0, 1)) {
        slot.resident = true
        resolve()
      }
    }
  }

  /** Refuses those that wait. */
  close (): void {
    clearInterval(this.#sweeper)
    for (const { slot, reject } of this.#waiting.splice(0)) reject(new FST_TENANT_CLOSED(slot.id))
  }

  #isRoom (): boolean {
    let places = 0
    for (const { resident, leaving } of this.#slots) places += leaving + (resident ? 1 : 0)
    return places < this.#options.maxActive
  }

  /** Sees to it that a place comes free for each that waits, and for one more. @throws FST_TENANT_OVERLOADED */
  #makeRoom (id: string): void {
    const slots = [...this.#slots]
    const leaving = slots.reduce((sum, { leaving }) => sum + leaving, 0)
    if (leaving <= this.#waiting.length) this.#evict(leastRecent(slots.filter(isIdle), id))
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
    publish('evict', { id: slot.id, generation: slot.current!.number })
    slot.clear()
  }

  #sweep (): void {
    const before = performance.now() - this.#options.idleTimeout
    for (const slot of this.#slots) {
      if (isIdle(slot) && slot.current!.leases.lastUsedAt <= before) this.#evict(slot)
    }
  }
}

/** A tenant that is being reloaded is in use. */
function isIdle (slot: Slot): boolean {
  return slot.current !== undefined && slot.current.leases.inFlight === 0 && !slot.building && slot.waiting === 0
}

/** @param id the tenant that is to be loaded. @throws FST_TENANT_OVERLOADED when there is none */
function leastRecent ([first, ...others]: readonly Slot[], id: string): Slot {
  if (first === undefined) throw overloaded(id)
  return others.reduce((oldest, slot) => lastUse(slot) < lastUse(oldest) ? slot : oldest, first)
}

function lastUse (slot: Slot): number {
  return slot.current!.leases.lastUse
}

function overloaded (id: string): Error {
  return retryAfter(new FST_TENANT_OVERLOADED(id), 1)
}
