import { LRUCache } from 'lru-cache'

const MAX_IDS = 10_000
/** ms */
const TTL = 5_000

/** Remembers refused ids for 5 seconds, so that a flood of requests for them does not reach the source. */
export class NegativeCache {
  /** Grows with every change that a source announces. An answer that was asked for at a lower age may be outdated. */
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

  /** Call this when the tenant may have changed. */
  changed (id: string): void {
    this.#age++
    this.forget(id)
  }

  /** Call this when any tenant may have changed. */
  clear (): void {
    this.#age++
    this.#ids.clear()
  }
}
