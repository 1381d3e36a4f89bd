import { LRUCache } from 'lru-cache'

const MAX_IDS = 10_000
/** ms */
const TTL = 5_000

/** Remembers for a short while which ids a source refused, so that a flood of requests for them does not reach it. */
export class NegativeCache {
  /** Grows whenever what is remembered may be wrong from now on. */
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

  /** To be called when the tenant of this id may have changed. */
  changed (id: string): void {
    this.#age++
    this.forget(id)
  }

  /** To be called when any tenant may have changed. */
  clear (): void {
    this.#age++
    this.#ids.clear()
  }
}
