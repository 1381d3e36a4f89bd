import { FST_TENANT_CLOSED, FST_TENANT_LOAD_TIMEOUT } from '../errors.ts'
import { ConcurrencyLimit } from './concurrency-limit.ts'
import { debug } from '../utils/debug.ts'
import { FairQueue } from './fair-queue.ts'
import { connectionOf, isGone, Lookup } from './lookup.ts'
import { busy, overloaded } from './overload.ts'
import { retryAfter } from '../utils/retry-after.ts'
import type { BootContext } from '../generations/boot-context.ts'
import type { Definitions } from './definitions.ts'
import type { Holder } from '../leases/lease.ts'
import type { Waiter } from './lookup.ts'
import type { ResolvedOptions } from '../options.ts'
import type { TenantDefinition } from '../../types/index.ts'

/** How many requests and jobs may wait until the source is asked. */
const MAX_WAITING = 1_000
/** The limits for a source with `getMany`, and for one without: ids per call, calls at a time, and calls at a time while some hang. */
const CALLS = { many: { batch: 100, limit: 2, hardLimit: 10 }, one: { batch: 1, limit: 10, hardLimit: 50 } }
/** How long a call may delay others, in ms. */
const PATIENCE = 250

type Limits = Pick<ResolvedOptions, 'loadTimeout' | 'maxWaiting'>

/**
 * Looks tenants up in the source, a few calls at a time. All that wait for one id share a look-up. A client that asks for many
 * ids delays only itself.
 */
export class Lookups {
  readonly #definitions: Definitions
  readonly #options: Limits
  readonly #batch: number
  readonly #limit: ConcurrencyLimit
  readonly #queue = new FairQueue<Waiter>({ max: MAX_WAITING, isGone, onDrop: waiter => waiter.finish(overloaded(waiter.lookup.id)) })
  /** The look-ups that are not over, by id. */
  readonly #lookups = new Map<string, Lookup>()
  readonly #calls = new Set<Promise<void>>()
  readonly #boot: BootContext

  /** @param boot the async context of calls to the source: a call serves many requests, so it must not run in that of one of them */
  constructor (definitions: Definitions, options: Limits, boot: BootContext) {
    const { batch, ...calls } = CALLS[definitions.takesMany ? 'many' : 'one']
    this.#definitions = definitions
    this.#options = options
    this.#boot = boot
    this.#batch = batch
    this.#limit = new ConcurrencyLimit({ ...calls, patience: Math.min(PATIENCE, options.loadTimeout / 4), onFree: () => this.#next() })
  }

  /**
   * The definition of a tenant that is about to be loaded.
   * @param holder the request that waits. It is skipped if its client leaves before the source is asked.
   * @throws {FST_TENANT_NOT_FOUND}
   * @throws {FST_TENANT_SUSPENDED} when the source has suspended the tenant
   * @throws {FST_TENANT_LOAD_FAILED} when the source fails
   * @throws {FST_TENANT_LOAD_TIMEOUT} after `loadTimeout`
   * @throws {FST_TENANT_BUSY} when too many wait for this tenant
   * @throws {FST_TENANT_OVERLOADED} when too many wait for any tenant
   * @throws {FST_TENANT_CLOSED} when the app closes meanwhile
   */
  async find (id: string, holder?: Holder): Promise<TenantDefinition> {
    const connection = connectionOf(holder)
    // Refuse a flood before creating anything for it.
    if (this.#lookups.get(id)?.sent !== true && !this.#queue.makeRoom(connection)) throw overloaded(id)
    // Ask the map again: whoever lost its place for this request may have ended the look-up.
    const lookup = this.#lookups.get(id) ?? this.#create(id)
    if (lookup.waiting >= this.#options.maxWaiting) throw busy(id)
    const waiter = lookup.add(holder)
    const timer = setTimeout(() => waiter.finish(retryAfter(new FST_TENANT_LOAD_TIMEOUT(id), 1)), this.#options.loadTimeout)
    if (!lookup.sent) this.#queue.add(connection, waiter)
    this.#next()
    try {
      const definition = await waiter.definition
      debug?.("tenant '%s': looked up", id)
      return definition
    } finally {
      clearTimeout(timer)
    }
  }

  /** Like `find()`, but never with an answer that the source gave to an earlier question. */
  findAgain (id: string): Promise<TenantDefinition> {
    this.changed(id)
    return this.find(id)
  }

  /** Call this when the tenant may have changed. */
  changed (id: string): void {
    const lookup = this.#lookups.get(id)
    if (lookup !== undefined) lookup.stale = true
  }

  /** Refuses all that wait. Resolves when all calls have ended. */
  async close (): Promise<void> {
    for (const [id, lookup] of this.#lookups) lookup.finish(new FST_TENANT_CLOSED(id))
    await Promise.all(this.#calls)
  }

  #create (id: string): Lookup {
    const lookup = new Lookup(id, () => this.#lookups.delete(id))
    this.#lookups.set(id, lookup)
    return lookup
  }

  #next (): void {
    while (this.#limit.free) {
      const lookups = this.#take()
      if (lookups.length === 0) return
      const call = this.#boot.run(() => this.#call(lookups))
      this.#calls.add(call)
      call.then(() => this.#calls.delete(call))
    }
  }

  #take (): Lookup[] {
    const lookups: Lookup[] = []
    while (lookups.length < this.#batch) {
      const waiter = this.#queue.take()
      if (waiter === undefined) break
      const { lookup } = waiter
      if (isGone(waiter)) {
        waiter.finish(overloaded(lookup.id))
      } else if (!lookup.sent) {
        lookup.sent = true
        lookups.push(lookup)
      }
    }
    return lookups
  }

  /** Never rejects. */
  async #call (lookups: readonly Lookup[]): Promise<void> {
    const end = this.#limit.begin()
    await (this.#batch === 1 ? Promise.all(lookups.map(lookup => this.#ask(lookup))) : this.#askTogether(lookups))
    end()
  }

  async #ask (lookup: Lookup): Promise<void> {
    while (lookup.waiting > 0) {
      lookup.stale = false
      const outcome = await this.#definitions.outcome(lookup.id)
      if (!lookup.stale) return lookup.finish(outcome)
    }
    lookup.end()
  }

  async #askTogether (lookups: readonly Lookup[]): Promise<void> {
    for (const lookup of lookups) lookup.stale = false
    const outcomes = await this.#definitions.outcomes(lookups.map(({ id }) => id))
    await Promise.all(lookups.map(async lookup => {
      const outcome = outcomes?.get(lookup.id)
      // The whole call fails if one of its tenants cannot be read.
      if (outcome === undefined || lookup.stale) return this.#ask(lookup)
      lookup.finish(outcome)
    }))
  }
}
