import { FST_TENANT_CLOSED } from '../errors.ts'
import { IdleList } from '../leases/idle-list.ts'
import { withResolvers } from '../utils/with-resolvers.ts'
import { overloaded } from './overload.ts'
import type { Idling } from '../leases/idle-list.ts'

/** A tenant that waits for a place. */
interface Waiting<Member extends Idling> {
  readonly id: string
  resolve (place: Place<Member>): void
  reject (error: Error): void
}

/** The limits of `Places`. */
export interface PlacesOptions<Member extends Idling> {
  /** How many places there are. */
  readonly max: number
  /** How long a load waits for a place, in ms. */
  readonly timeout: number
  /** Evicts a generation of the list. Returns `false` if none can be evicted. */
  readonly evict: (idle: IdleList<Member>) => boolean
}

/** The places in memory for tenants of one kind. A tenant has one from the start of its load until its last generation is closed. */
export class Places<Member extends Idling> {
  /** The idle generations, which may be evicted. */
  readonly idle = new IdleList<Member>()
  readonly #options: PlacesOptions<Member>
  #taken = 0
  #ending = 0
  /** No longer than the number of loads that run at a time. */
  readonly #waiting = new Set<Waiting<Member>>()

  constructor (options: PlacesOptions<Member>) {
    this.#options = options
  }

  /**
   * Takes a place. If all are taken, evicts the least recently used idle tenant, and waits until that tenant has closed.
   * @throws {FST_TENANT_OVERLOADED} when all tenants are busy, or no place becomes free in time
   * @throws {FST_TENANT_CLOSED} when the app closes meanwhile
   */
  take (id: string): Place<Member> | Promise<Place<Member>> {
    return this.#taken < this.#options.max ? this.#create() : this.#wait(id)
  }

  /** Call this when places have come to their end, or have become free. */
  changed (free: number, ending: number): void {
    this.#taken -= free
    this.#ending += ending
    for (const waiting of this.#waiting) {
      if (this.#taken >= this.#options.max) return
      this.#waiting.delete(waiting)
      waiting.resolve(this.#create())
    }
  }

  /** Refuses the tenants that wait. */
  close (): void {
    for (const { id, reject } of this.#waiting) reject(new FST_TENANT_CLOSED(id))
    this.#waiting.clear()
  }

  #create (): Place<Member> {
    this.#taken++
    return new Place(this)
  }

  async #wait (id: string): Promise<Place<Member>> {
    // Evict a tenant, unless enough tenants end already for this one and all that wait.
    if (this.#ending <= this.#waiting.size && !this.#options.evict(this.idle)) throw overloaded(id)
    const { promise, resolve, reject } = withResolvers<Place<Member>>()
    const waiting: Waiting<Member> = { id, resolve, reject }
    this.#waiting.add(waiting)
    const timer = setTimeout(() => {
      this.#waiting.delete(waiting)
      reject(overloaded(id))
    }, this.#options.timeout)
    try {
      return await promise
    } finally {
      clearTimeout(timer)
    }
  }
}

/** One tenant's place. Its generations share it while one replaces the other. */
export class Place<Member extends Idling> {
  readonly places: Places<Member>
  #generations = 1
  #ending = 0

  constructor (places: Places<Member>) {
    this.places = places
  }

  /** Call this when another generation of the tenant is built. */
  share (): this {
    this.#generations++
    return this
  }

  /** Call this when a generation is out of service. Call `release(true)` when it is closed. */
  end (): void {
    this.#change(0, 1)
  }

  /** Call this when a generation is closed, or its build has failed. */
  release (hasEnded: boolean): void {
    this.#change(-1, hasEnded ? -1 : 0)
  }

  #change (generations: number, ending: number): void {
    const before = this.#isEnding
    this.#generations += generations
    this.#ending += ending
    const after = this.#isEnding
    if (before !== after || this.#generations === 0) this.places.changed(this.#generations === 0 ? 1 : 0, Number(after) - Number(before))
  }

  /** Whether all generations of the tenant are out of service. */
  get #isEnding (): boolean {
    return this.#generations > 0 && this.#ending === this.#generations
  }
}
