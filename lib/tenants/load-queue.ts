import { ConcurrencyLimit } from './concurrency-limit.ts'
import { overloaded } from './overload.ts'
import type { ResolvedOptions } from '../options.ts'

/** How long a load may delay others, in ms. */
const PATIENCE = 250
/** While loads hang, up to `maxLoading` times this number run at a time. */
const HANGING_FACTOR = 5
/** How many loads may wait. */
const MAX_WAITING = 1_000

type Limits = Pick<ResolvedOptions, 'maxLoading' | 'maxActive' | 'loadTimeout'>

/**
 * Loads a few tenants at a time. A load that takes long lets the next one begin beside it: with the defaults, 40 hanging loads delay a
 * healthy one by at most a second. At most five times `maxLoading` run at a time. Each load takes a place in memory, so loads take at most
 * half of `maxActive`, unless `maxLoading` is more than that.
 */
export class LoadQueue {
  readonly #limit: ConcurrencyLimit
  readonly #waiting: Array<(end: () => void) => void> = []

  constructor ({ maxLoading, maxActive, loadTimeout }: Limits) {
    this.#limit = new ConcurrencyLimit({
      limit: maxLoading,
      hardLimit: Math.max(maxLoading, Math.min(maxLoading * HANGING_FACTOR, Math.floor(maxActive / 2))),
      patience: Math.min(PATIENCE, loadTimeout / 4),
      onFree: () => this.#next()
    })
  }

  /**
   * Runs a load as soon as it may begin.
   * @throws {FST_TENANT_OVERLOADED} when too many loads wait
   */
  async run<Result> (id: string, load: () => Promise<Result>): Promise<Result> {
    const end = await this.#begin(id)
    try {
      return await load()
    } finally {
      end()
    }
  }

  /** Lets another load begin while a running load waits for it. */
  pauseWhile<Result> (wait: () => Promise<Result>): Promise<Result> {
    return this.#limit.pauseWhile(wait)
  }

  #begin (id: string): (() => void) | Promise<() => void> {
    if (this.#limit.free) return this.#limit.begin()
    if (this.#waiting.length >= MAX_WAITING) throw overloaded(id)
    return new Promise(resolve => this.#waiting.push(resolve))
  }

  #next (): void {
    while (this.#limit.free) {
      const begin = this.#waiting.shift()
      if (begin === undefined) return
      begin(this.#limit.begin())
    }
  }
}
