import { asError } from '../utils/as-error.ts'
import { debug } from '../utils/debug.ts'
import { FST_TENANT_LOAD_FAILED, FST_TENANT_LOAD_TIMEOUT, FST_TENANT_NOT_FOUND } from '../errors.ts'
import { FolderCode } from '../generations/folder-code.ts'
import { isTimeout } from '../loading/file-error.ts'
import { InactiveTenantError } from '../loading/standard-config.ts'
import { logFailure } from '../utils/log-failure.ts'
import { publish } from './channels.ts'
import { Draft } from './draft.ts'
import { LoadQueue } from './load-queue.ts'
import { retryAfter } from '../utils/retry-after.ts'
import { withoutRepeats } from '../utils/error-for-log.ts'
import type { BootContext } from '../generations/boot-context.ts'
import type { Lookups } from './lookups.ts'
import type { EvictionPolicy } from './eviction-policy.ts'
import type { LoadContext } from '../generations/load-context.ts'
import type { Refusals } from './refusals.ts'
import type { Retirement } from './retirement.ts'
import type { Build } from '../generations/slot.ts'
import type { DraftContext } from './draft.ts'
import type { Generation } from './generation.ts'
import type { Place } from './places.ts'
import type { TenantSlot } from './tenant-slot.ts'
import type { TenantDefinition } from '../../types/index.ts'

/** The objects that tenants are loaded with. */
export interface TenantLoaderContext extends DraftContext {
  boot: BootContext
  loads: LoadContext
  refusals: Refusals
  lookups: Lookups
  evictionPolicy: EvictionPolicy
  retirement: Retirement
}

/** Loads generations, and records in `refusals` which tenants failed. */
export class TenantLoader {
  /** The loads and reloads since the start, including those that failed. */
  readonly counts = { loads: 0, reloads: 0 }
  /** The code in the folders of tenants. */
  readonly code = new FolderCode()
  readonly #context: TenantLoaderContext
  readonly #queue: LoadQueue

  constructor (context: TenantLoaderContext) {
    this.#context = context
    this.#queue = new LoadQueue(context.options)
  }

  /**
   * Builds and loads a generation. Asks the source for its definition if `build` has none.
   * @throws {FST_TENANT_NOT_FOUND}
   * @throws {FST_TENANT_SUSPENDED} when the source has suspended the tenant
   * @throws {FST_TENANT_LOAD_FAILED}
   * @throws {FST_TENANT_LOAD_TIMEOUT}
   * @throws {FST_TENANT_OVERLOADED}
   */
  async build (slot: TenantSlot, build: Build<TenantDefinition>): Promise<Generation> {
    const { id } = slot
    const { number } = build
    const { boot, loads, refusals } = this.#context
    const event = slot.current === undefined ? 'load' : 'reload'
    try {
      const generation = await loads.run(id, () => this.#queue.run(id, () => this.#load(slot, build)))
      slot.lastError = undefined
      refusals.loaded(id)
      debug?.("tenant '%s', generation %d: built in %d ms", id, number, Math.round(generation.loadMs))
      boot.run(() => publish(event, { id, generation: number, ms: generation.loadMs }))
      return generation
    } catch (error) {
      debug?.("tenant '%s', generation %d: build failed: %s", id, number, error)
      boot.run(() => publish('fail', { id, generation: number, error }))
      throw error
    }
  }

  /** Waits for the load of a tenant. If the caller is a load itself, another load may begin meanwhile, because the caller may wait for it. */
  async waitFor<Result> (id: string, load: () => Promise<Result>): Promise<Result> {
    const { loads } = this.#context
    if (!loads.isInLoad) return load()
    return this.#queue.pauseWhile(() => loads.wait(id, load))
  }

  close (): void {
    this.code.close()
  }

  async #load (slot: TenantSlot, { number, freshCode, definition: known }: Build<TenantDefinition>): Promise<Generation> {
    const { id } = slot
    const definition = known ?? await this.#context.lookups.findAgain(id)
    this.counts[slot.current === undefined ? 'loads' : 'reloads']++
    const draft = new Draft(definition, this.#context)
    try {
      const hasCode = await this.#orFailed(slot, definition, this.#read(slot, draft, freshCode))
      return await this.#context.evictionPolicy.withPlace(slot, hasCode, place => this.#orFailed(slot, definition, this.#loadInPlace(draft, place, number)))
    } finally {
      draft.discard()
    }
  }

  async #read (slot: TenantSlot, draft: Draft, freshCode: boolean): Promise<boolean> {
    const { dir } = draft.definition
    await this.code.prepare(slot.id, dir, { freshCode, isFirst: slot.current === undefined })
    return this.code.run(dir, () => draft.read())
  }

  async #loadInPlace (draft: Draft, place: Place<Generation>, number: number): Promise<Generation> {
    const { parent, retirement } = this.#context
    debug?.("tenant '%s', generation %d: build begins", draft.definition.id, number)
    const generation = draft.createGeneration(place, number)
    try {
      await this.code.run(draft.definition.dir, () => draft.load(generation))
      if (parent.app.server.listening) generation.scope?.onListen()
      return generation
    } catch (error) {
      await retirement.close(generation)
      throw error
    }
  }

  /** Waits for a part of a load. A failure is logged and remembered. */
  async #orFailed<Result> (slot: TenantSlot, { dir }: TenantDefinition, work: Promise<Result>): Promise<Result> {
    try {
      return await work
    } catch (cause) {
      this.code.noteFailure(slot.id, dir)
      throw this.#failed(slot, cause)
    }
  }

  /** Logs and remembers the failure. After a failed reload the old generation keeps serving, so there is no pause. */
  #failed (slot: TenantSlot, thrown: unknown): Error {
    const { id, current } = slot
    const { parent, refusals: { failures, unknown } } = this.#context
    const cause = asError(thrown)
    if (cause instanceof InactiveTenantError) {
      unknown.add(id)
      return new FST_TENANT_NOT_FOUND(id, { cause })
    }
    if (current === undefined) failures.add(id, cause)
    logFailure(parent.app.log, { tenantId: id }, withoutRepeats(cause), current === undefined ? 'tenant failed to load' : 'tenant failed to reload: the old generation keeps serving')
    slot.lastError = cause
    const Failure = isTimeout(cause) ? FST_TENANT_LOAD_TIMEOUT : FST_TENANT_LOAD_FAILED
    const error = current === undefined ? new Failure(id, { cause }) : new Failure(id, `again; generation ${current.number} keeps serving`, { cause })
    return retryAfter(error, Math.max(1, failures.pauseOf(id)))
  }
}
