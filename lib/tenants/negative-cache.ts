import { LRUCache } from 'lru-cache'

const MAX_IDS = 10_000
/** In ms. */
const TTL = 5_000

/** Remembers refused ids for 5 seconds, so that a flood of requests for them does not reach the source. */
export class NegativeCache {
  #changes = 0
  readonly #ids = new LRUCache<string, true>({ max: MAX_IDS, ttl: TTL })

  /** The number of changes that the source has announced. If it has grown since the source was asked, the answer may be outdated. */
  get changes (): number {
    return this.#changes
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
    this.#changes++
    this.forget(id)
  }

  /** Call this when any tenant may have changed. */
  clear (): void {
    this.#changes++
    this.#ids.clear()
  }
}
