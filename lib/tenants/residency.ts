import { FST_TENANT_OVERLOADED } from '../errors.ts'
import { publish } from './channels.ts'
import { retryAfter } from './retry-after.ts'
import type { Slot } from './slot.ts'

/** What decides who stays. */
export interface ResidencyOptions {
  readonly maxActive: number
  /** ms; 0 = never */
  readonly idleTimeout: number
}

/** Says which tenants stay loaded: at most `maxActive`, and none that was idle for longer than `idleTimeout`. */
export class Residency {
  readonly #options: ResidencyOptions
  readonly #slots: Iterable<Slot>
  readonly #sweeper: NodeJS.Timeout | undefined
  #evictions = 0

  constructor (options: ResidencyOptions, slots: Iterable<Slot>) {
    this.#options = options
    this.#slots = slots
    if (options.idleTimeout > 0) this.#sweeper = setInterval(() => this.#sweep(), options.idleTimeout / 2).unref()
  }

  /** How many tenants it has unloaded, since the start. */
  get evictions (): number {
    return this.#evictions
  }

  /**
   * Runs `load` with a place kept for the tenant. The least recently used idle one makes room, a busy one never.
   * @throws FST_TENANT_OVERLOADED when all are busy
   */
  async place<Result> (slot: Slot, load: () => Promise<Result>): Promise<Result> {
    // A reload takes the place that the tenant has.
    if (slot.resident) return load()
    this.#makeRoom(slot.id)
    slot.resident = true
    try {
      return await load()
    } catch (error) {
      slot.resident = false
      throw error
    }
  }

  close (): void {
    clearInterval(this.#sweeper)
  }

  #evict (slot: Slot): void {
    this.#evictions++
    publish('evict', { id: slot.id, generation: slot.current!.number })
    slot.clear()
  }

  #makeRoom (id: string): void {
    const residents = [...this.#slots].filter(slot => slot.resident)
    if (residents.length < this.#options.maxActive) return
    const idle = residents.filter(isIdle)
    if (idle.length === 0) throw retryAfter(new FST_TENANT_OVERLOADED(id), 1)
    this.#evict(idle.reduce((oldest, slot) => lastUse(slot) < lastUse(oldest) ? slot : oldest))
  }

  #sweep (): void {
    const before = Date.now() - this.#options.idleTimeout
    for (const slot of this.#slots) {
      if (isIdle(slot) && slot.current!.leases.lastUsedAt <= before) this.#evict(slot)
    }
  }
}

/** A tenant that is being reloaded is in use. */
function isIdle (slot: Slot): boolean {
  return slot.current !== undefined && slot.current.leases.inFlight === 0 && !slot.building && slot.waiting === 0
}

function lastUse (slot: Slot): number {
  return slot.current!.leases.lastUse
}
