import { AsyncLocalStorage } from 'node:async_hooks'

/** A load, and the load that it was asked for by. */
interface Load {
  id: string
  /** What a tenant started while it was loaded goes on in this context, when the load itself is long over. */
  running: boolean
  parent: Load | undefined
}

/** Knows which tenant's load is asking, so that one that waits for itself fails at once and not after its time is up. */
export class LoadContext {
  readonly #storage = new AsyncLocalStorage<Load>()
  #running = 0

  /** Whether the caller is part of a load. */
  get nested (): boolean {
    return this.#storage.getStore()?.running === true
  }

  /** Whether the caller is part of this tenant's load. */
  has (id: string): boolean {
    for (let load = this.#storage.getStore(); load !== undefined; load = load.parent) {
      if (load.id === id && load.running) return true
    }
    return false
  }

  async run<Result> (id: string, work: () => Promise<Result>): Promise<Result> {
    const load = { id, running: true, parent: this.#storage.getStore() }
    this.#running++
    try {
      return await this.#storage.run(load, work)
    } finally {
      load.running = false
      // Tracking contexts has its price on Node before 24: nobody pays it while nothing is loaded.
      if (--this.#running === 0) this.#storage.disable()
    }
  }
}
