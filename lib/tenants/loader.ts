import { asError } from '../utils/as-error.ts'
import { debug } from '../utils/debug.ts'
import { FST_TENANT_LOAD_FAILED, FST_TENANT_LOAD_TIMEOUT, FST_TENANT_NOT_FOUND } from '../errors.ts'
import { processReloader } from '../loading/modules/module-reloader.ts'
import { InactiveTenantError } from '../loading/standard-config.ts'
import { logFailure } from '../utils/log-failure.ts'
import { publish } from './channels.ts'
import { Generation } from './generation.ts'
import { LoadQueue } from './load-queue.ts'
import { retryAfter } from '../utils/retry-after.ts'
import { UseCounter } from '../leases/use-counter.ts'
import { withoutRepeats } from './error-for-log.ts'
import type { ParentApp } from '../app/parent-app.ts'
import type { BootContext } from './boot-context.ts'
import type { Definitions } from './definitions.ts'
import type { EvictionPolicy } from './eviction-policy.ts'
import type { LoadContext } from './load-context.ts'
import type { Refusals } from './refusals.ts'
import type { Retirement } from './retirement.ts'
import type { Build, Slot } from './slot.ts'
import type { ResolvedOptions } from '../options.ts'
import type { TenantDefinition } from '../../types/index.ts'

/** The objects that tenants are loaded with. */
export interface TenantLoaderContext {
  options: ResolvedOptions
  boot: BootContext
  /** The app that tenants are made in. */
  parent: ParentApp
  loads: LoadContext
  refusals: Refusals
  definitions: Definitions
  evictionPolicy: EvictionPolicy
  retirement: Retirement
}

/** Called before a tenant is loaded from a folder. */
export type FolderListener = (id: string, dir: string) => void

/** Loads generations, and records in `refusals` which tenants failed. */
export class TenantLoader {
  /** The loads and reloads since the start, including those that failed. */
  readonly counts = { loads: 0, reloads: 0 }
  readonly #context: TenantLoaderContext
  readonly #uses = new UseCounter()
  readonly #reloader = processReloader.open()
  readonly #queue: LoadQueue
  readonly #folderListeners: FolderListener[] = []

  constructor (context: TenantLoaderContext) {
    this.#context = context
    this.#queue = new LoadQueue(context.options)
  }

  /** Calls `listener` before each load from a folder. */
  onFolder (listener: FolderListener): void {
    this.#folderListeners.push(listener)
  }

  /**
   * Builds and loads a generation. Asks the source for its definition if `build` has none.
   * @throws {FST_TENANT_NOT_FOUND}
   * @throws {FST_TENANT_SUSPENDED} when the source has suspended the tenant
   * @throws {FST_TENANT_LOAD_FAILED}
   * @throws {FST_TENANT_LOAD_TIMEOUT}
   * @throws {FST_TENANT_OVERLOADED}
   */
  async build (slot: Slot, build: Build): Promise<Generation> {
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
    this.#reloader.close()
  }

  async #load (slot: Slot, { number, freshCode, definition: known }: Build): Promise<Generation> {
    const { id } = slot
    const { definitions, evictionPolicy, options, parent, refusals, retirement } = this.#context
    const definition = known ?? await definitions.getForLoad(id)
    this.counts[slot.current === undefined ? 'loads' : 'reloads']++
    return evictionPolicy.withPlace(slot, async () => {
      debug?.("tenant '%s', generation %d: build begins", id, number)
      const scope = parent.createScope({
        id,
        pluginTimeout: options.loadTimeout,
        admit: () => refusals.admit(id),
        end: async isEnding => { await (isEnding ? slot.drained() : slot.clear()) }
      })
      const generation = new Generation(id, number, scope, this.#uses, options.drainTimeout)
      try {
        await this.#prepareCode(slot, definition, freshCode)
        await this.#reloader.runLoad(definition.dir ?? '', () => generation.load(definition, options))
        if (parent.app.server.listening) scope.onListen()
        return generation
      } catch (cause) {
        if (definition.dir !== undefined) this.#reloader.noteFailedLoad(definition.dir, id)
        await retirement.close(generation)
        throw this.#failed(slot, cause)
      }
    })
  }

  async #prepareCode (slot: Slot, { dir }: TenantDefinition, freshCode: boolean): Promise<void> {
    if (dir === undefined) return
    for (const listener of this.#folderListeners) listener(slot.id, dir)
    if (freshCode) return this.#reloader.refresh(dir)
    if (slot.current === undefined) await this.#reloader.refreshIfChanged(dir, slot.id)
  }

  /** Logs and remembers the failure. After a failed reload the old generation keeps serving, so there is no pause. */
  #failed (slot: Slot, thrown: unknown): Error {
    const { id, current } = slot
    const { parent, refusals: { failures, unknown } } = this.#context
    const cause = asError(thrown)
    if (cause instanceof InactiveTenantError) {
      unknown.add(id)
      return new FST_TENANT_NOT_FOUND(id, { cause })
    }
    if (current === undefined) failures.add(id, cause)
    logFailure(parent.app.log, id, withoutRepeats(cause), current === undefined ? 'tenant failed to load' : 'tenant failed to reload: the old generation keeps serving')
    slot.lastError = cause
    const Failure = isTimeout(cause) ? FST_TENANT_LOAD_TIMEOUT : FST_TENANT_LOAD_FAILED
    const error = current === undefined ? new Failure(id, { cause }) : new Failure(id, `again; generation ${current.number} keeps serving`, { cause })
    return retryAfter(error, Math.max(1, failures.pauseOf(id)))
  }
}

/** Whether the error is Fastify's timeout for a plugin or a hook. */
function isTimeout (error: Error): boolean {
  const { code } = error as { code?: unknown }
  return code === 'FST_ERR_PLUGIN_TIMEOUT' || code === 'FST_ERR_HOOK_TIMEOUT'
}
