import { LRUCache } from 'lru-cache'

const MAX_IDS = 10_000
/** ms */
const TTL = 5_000

/** Remembers for a short while which ids are no tenant's, so that a flood of made-up ones does not reach the source. */
export class UnknownIds {
  /** Grows whenever tenants may have been added. */
  #age = 0
  readonly #ids = new LRUCache<string, true>({ max: MAX_IDS, ttl: TTL })

  get age (): number {
    return this.#age
  }

  get size (): number {
    return this.#ids.size
  }

  has (id: string): boolean {
    return this.#ids.has(id)
  }

  add (id: string): void {
    this.#ids.set(id, true)
  }

  forget (id: string): void {
    this.#ids.delete(id)
  }

  /** To be called when tenants may have been added. */
  clear (): void {
    this.#age++
    this.#ids.clear()
  }
}
