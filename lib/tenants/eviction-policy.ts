import { publish } from './channels.ts'
import { debug } from '../utils/debug.ts'
import { Places } from './places.ts'
import type { IdleList } from '../leases/idle-list.ts'
import type { ResolvedOptions } from '../options.ts'
import type { Generation } from './generation.ts'
import type { Place } from './places.ts'
import type { TenantSlot } from './tenant-slot.ts'

type Limits = Pick<ResolvedOptions, 'maxActive' | 'maxResident' | 'idleTimeout' | 'loadTimeout'>

/** How many idle tenants are evicted before requests have their turn. */
const EVICTIONS_PER_TURN = 500

/**
 * Decides which tenants stay loaded. At most `maxActive` tenants with a scope of their own have a place, and at most `maxResident` others.
 * A tenant that is idle for longer than `idleTimeout` is unloaded. A busy tenant is never evicted.
 */
export class EvictionPolicy {
  readonly #slots: ReadonlyMap<string, TenantSlot>
  readonly #idleTimeout: number
  readonly #timer: NodeJS.Timeout | undefined
  #rest: NodeJS.Immediate | undefined
  readonly #scopes: Places<Generation>
  readonly #residents: Places<Generation>
  #evictions = 0

  constructor ({ maxActive, maxResident, idleTimeout, loadTimeout: timeout }: Limits, slots: ReadonlyMap<string, TenantSlot>) {
    const evict = (idle: IdleList<Generation>): boolean => this.#evictFirst(idle)
    this.#slots = slots
    this.#idleTimeout = idleTimeout
    this.#scopes = new Places({ max: maxActive, timeout, evict })
    this.#residents = new Places({ max: maxResident, timeout, evict })
    if (idleTimeout > 0) this.#timer = setInterval(() => this.#evictIdle(), idleTimeout / 2).unref()
  }

  /** How many tenants have been evicted since the start. */
  get evictions (): number {
    return this.#evictions
  }

  /**
   * Keeps a place for a new generation of the tenant and runs `load`. A reload shares the place that the tenant has.
   * @param hasScope whether the generation has a scope of its own
   * @throws {FST_TENANT_OVERLOADED} when all tenants are busy, or no place becomes free within `loadTimeout`
   * @throws {FST_TENANT_CLOSED} when the app closes meanwhile
   */
  async withPlace<Result> (slot: TenantSlot, hasScope: boolean, load: (place: Place<Generation>) => Promise<Result>): Promise<Result> {
    const places = hasScope ? this.#scopes : this.#residents
    const current = slot.current?.place
    const place = current?.places === places ? current.share() : await places.take(slot.id)
    try {
      return await load(place)
    } catch (error) {
      place.release(false)
      throw error
    }
  }

  /** Refuses the tenants that wait. */
  close (): void {
    clearInterval(this.#timer)
    clearImmediate(this.#rest)
    this.#scopes.close()
    this.#residents.close()
  }

  #evictFirst (idle: IdleList<Generation>): boolean {
    for (const generation of idle) if (this.#evict(generation)) return true
    return false
  }

  /** Evicts the tenants that have been idle for too long, some in each turn of the event loop. */
  #evictIdle (): void {
    const before = performance.now() - this.#idleTimeout
    let left = EVICTIONS_PER_TURN
    for (const { idle } of [this.#scopes, this.#residents]) {
      for (const generation of idle) {
        // The list is in the order of the last use.
        if (generation.leases.lastUsedAt > before) break
        if (this.#evict(generation) && --left === 0) {
          this.#rest = setImmediate(() => this.#evictIdle())
          return
        }
      }
    }
  }

  /** Returns `false` if the tenant is not idle: a reload, and a request that waits for the tenant, count as use. */
  #evict ({ id, number }: Generation): boolean {
    const slot = this.#slots.get(id)
    if (slot === undefined || slot.building || slot.waiting > 0) return false
    this.#evictions++
    debug?.("tenant '%s', generation %d: evicted", id, number)
    publish('evict', { id, generation: number })
    slot.clear()
    return true
  }
}
