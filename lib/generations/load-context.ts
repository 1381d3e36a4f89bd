import { AsyncLocalStorage } from 'node:async_hooks'
import type { BootContext } from './boot-context.ts'

/** A load, the load that asked for it, and the tenants whose loads it waits for. */
interface Load {
  readonly id: string
  /** Timers that a tenant starts during its load keep this context after the load is over. */
  running: boolean
  readonly parent: Load | undefined
  readonly waitsFor: Set<string>
}

/** Tracks which tenant's load the caller belongs to. Loads that wait for each other then fail at once, and not after their timeout. */
export class LoadContext {
  readonly #boot: BootContext
  readonly #storage = new AsyncLocalStorage<Load>()
  /** The loads that run, by tenant id. */
  readonly #running = new Map<string, Load>()

  constructor (boot: BootContext) {
    this.#boot = boot
  }

  /** Whether the caller is part of a load. */
  get isInLoad (): boolean {
    return this.#storage.getStore()?.running === true
  }

  /** Whether the tenant's load waits for the caller's load, directly or through others. */
  waitsForCaller (id: string): boolean {
    const callers = new Set<string>()
    for (let load = this.#storage.getStore(); load !== undefined; load = load.parent) {
      if (load.running) callers.add(load.id)
    }
    return callers.size > 0 && this.#leadsTo(id, callers)
  }

  /** Runs the load of a tenant in the boot context. Of the caller's context, only the caller's load is kept. */
  async run<Result> (id: string, work: () => Promise<Result>): Promise<Result> {
    const load: Load = { id, running: true, parent: this.#storage.getStore(), waitsFor: new Set() }
    this.#running.set(id, load)
    try {
      return await this.#boot.run(() => this.#storage.run(load, work))
    } finally {
      load.running = false
      this.#running.delete(id)
      // Before Node 24, tracking contexts slows down all promises, so it is off while nothing loads.
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

  /** The recursion ends, because `Refusals` lets no load wait in a circle. */
  #leadsTo (id: string, callers: ReadonlySet<string>): boolean {
    if (callers.has(id)) return true
    const load = this.#running.get(id)
    return load !== undefined && [...load.waitsFor].some(next => this.#leadsTo(next, callers))
  }
}
