import { AsyncLocalStorage } from 'node:async_hooks'
import type { BootContext } from './boot-context.ts'

/** A load, the load that it was asked for by, and the tenants whose loads it waits for. */
interface Load {
  readonly id: string
  /** What a tenant started while it was loaded goes on in this context, when the load itself is long over. */
  running: boolean
  readonly parent: Load | undefined
  readonly waitsFor: Set<string>
}

/** Knows which tenant's load is asking, so that loads that wait for each other fail at once and not after their time is up. */
export class LoadContext {
  readonly #boot: BootContext
  readonly #storage = new AsyncLocalStorage<Load>()
  /** As many as tenants are being loaded. */
  readonly #running = new Map<string, Load>()

  constructor (boot: BootContext) {
    this.#boot = boot
  }

  /** Whether the caller is part of a load. */
  get nested (): boolean {
    return this.#storage.getStore()?.running === true
  }

  /** Whether the tenant's load can only end after the caller's. */
  waitsForCaller (id: string): boolean {
    const callers = new Set<string>()
    for (let load = this.#storage.getStore(); load !== undefined; load = load.parent) {
      if (load.running) callers.add(load.id)
    }
    return callers.size > 0 && this.#leadsTo(id, callers)
  }

  /** Runs the load of a tenant: of the context of who asks for it, it knows which load that is, and no more. */
  async run<Result> (id: string, work: () => Promise<Result>): Promise<Result> {
    const load: Load = { id, running: true, parent: this.#storage.getStore(), waitsFor: new Set() }
    this.#running.set(id, load)
    try {
      return await this.#boot.run(() => this.#storage.run(load, work))
    } finally {
      load.running = false
      this.#running.delete(id)
      // Tracking contexts has its price on Node before 24: nobody pays it while nothing is loaded.
      if (this.#running.size === 0) this.#storage.disable()
    }
  }

  /** Notes that the caller's load waits for another tenant's while `work` runs. */
  async wait<Result> (id: string, work: () => Promise<Result>): Promise<Result> {
    const load = this.#storage.getStore()
    load?.waitsFor.add(id)
    try {
      return await work()
    } finally {
      load?.waitsFor.delete(id)
    }
  }

  /** It ends: a load that would close a circle of waiting is refused. */
  #leadsTo (id: string, callers: ReadonlySet<string>): boolean {
    if (callers.has(id)) return true
    const load = this.#running.get(id)
    return load !== undefined && [...load.waitsFor].some(next => this.#leadsTo(next, callers))
  }
}
