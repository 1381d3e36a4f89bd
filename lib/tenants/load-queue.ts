import { FST_TENANT_OVERLOADED } from '../errors.ts'
import { retryAfter } from '../utils/retry-after.ts'
import { Turns } from './turns.ts'

/** How long a load may keep others waiting, in ms. */
const PATIENCE = 250
/** How many times `maxLoading` tenants load at a time when many of them hang. */
const SPREAD = 5
/** How many loads wait for their turn. */
const MAX_WAITING = 1_000

/** What decides how many tenants load at a time. */
export interface LoadQueueOptions {
  readonly maxLoading: number
  readonly maxActive: number
  /** ms */
  readonly loadTimeout: number
}

/**
 * Loads a few tenants at a time. One that takes long lets others begin, so with the defaults at most 40 hanging loads delay a healthy
 * one by a second. All in all no more run than five times `maxLoading`, and no more than half of `maxActive` if that is above `maxLoading`:
 * each has a place among the tenants in memory.
 */
export class LoadQueue {
  readonly #turns: Turns
  readonly #waiting: Array<(end: () => void) => void> = []

  constructor ({ maxLoading, maxActive, loadTimeout }: LoadQueueOptions) {
    this.#turns = new Turns({
      size: maxLoading,
      most: Math.max(maxLoading, Math.min(maxLoading * SPREAD, Math.floor(maxActive / 2))),
      patience: Math.min(PATIENCE, loadTimeout / 4),
      onFree: () => this.#next()
    })
  }

  /** Runs a load when it has its turn. @throws FST_TENANT_OVERLOADED when too many wait */
  async run<Result> (id: string, load: () => Promise<Result>): Promise<Result> {
    const end = await this.#turn(id)
    try {
      return await load()
    } finally {
      end()
    }
  }

  /** Lets another have a turn while a load waits for it. */
  lend<Result> (wait: () => Promise<Result>): Promise<Result> {
    return this.#turns.lend(wait)
  }

  #turn (id: string): (() => void) | Promise<() => void> {
    if (this.#turns.free) return this.#turns.begin()
    if (this.#waiting.length >= MAX_WAITING) throw retryAfter(new FST_TENANT_OVERLOADED(id), 1)
    return new Promise(resolve => this.#waiting.push(resolve))
  }

  #next (): void {
    while (this.#turns.free) {
      const begin = this.#waiting.shift()
      if (begin === undefined) return
      begin(this.#turns.begin())
    }
  }
}
