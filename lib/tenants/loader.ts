import type { FastifyBaseLogger } from 'fastify'
import { asError } from '../utils/as-error.ts'
import { FST_TENANT_LOAD_FAILED, FST_TENANT_LOAD_TIMEOUT, FST_TENANT_NOT_FOUND } from '../errors.ts'
import { processCode } from '../loading/modules/module-reloader.ts'
import { InactiveTenantError } from '../loading/standard-config.ts'
import { logFailure } from '../utils/log-failure.ts'
import { publish } from './channels.ts'
import { Failures } from './failures.ts'
import { Generation } from './generation.ts'
import { LoadContext } from './load-context.ts'
import { LoadQueue } from './load-queue.ts'
import { retryAfter } from '../utils/retry-after.ts'
import { saidOnce } from './said-once.ts'
import { UseClock } from '../leases/use-clock.ts'
import type { BootContext } from './boot-context.ts'
import type { Definitions } from './definitions.ts'
import type { EvictionPolicy } from './eviction-policy.ts'
import type { Retirement } from './retirement.ts'
import type { Build, Slot } from './slot.ts'
import type { FolderChanges } from './folder-changes.ts'
import type { ResolvedOptions } from '../options.ts'
import type { Scope } from '../scope/scope.ts'
import type { TenantDefinition } from '../../types/index.ts'

/** What tenants are built with. */
export interface TenantLoaderContext {
  options: ResolvedOptions
  /** Where tenants are loaded. */
  boot: BootContext
  log: FastifyBaseLogger
  definitions: Definitions
  retirement: Retirement
  /** Makes the scope of one generation, with nothing in it. */
  createScope: (id: string) => Scope
  /** Whether the app listens, as the tenants' onListen hooks want to know. */
  isListening: () => boolean
  /** Is told of every folder that a tenant is loaded from. */
  watcher: FolderChanges | undefined
}

/** Builds generations, and remembers what could not be built. */
export class TenantLoader {
  readonly failures = new Failures()
  readonly context: LoadContext
  /** Counted since the start, failed ones included. */
  readonly counts = { loads: 0, reloads: 0 }
  readonly #parts: TenantLoaderContext
  readonly #clock = new UseClock()
  readonly #freshCode = processCode.open()
  readonly #queue: LoadQueue

  constructor (parts: TenantLoaderContext) {
    this.#parts = parts
    this.context = new LoadContext(parts.boot)
    this.#queue = new LoadQueue(parts.options)
  }

  /** Builds and loads a generation, of this definition or of that which the source has by then. @throws FST_TENANT_NOT_FOUND, FST_TENANT_SUSPENDED, FST_TENANT_LOAD_FAILED, FST_TENANT_LOAD_TIMEOUT, FST_TENANT_OVERLOADED */
  async build (slot: Slot, { number, freshCode, definition }: Build, residency: EvictionPolicy): Promise<Generation> {
    const { boot } = this.#parts
    const event = slot.current === undefined ? 'load' : 'reload'
    try {
      const generation = await this.context.run(slot.id, () => this.#queue.run(slot.id, () => this.#load(slot, { number, freshCode, definition }, residency)))
      slot.lastError = undefined
      this.failures.forget(slot.id)
      this.#parts.definitions.forget(slot.id)
      boot.run(() => publish(event, { id: slot.id, generation: number, ms: generation.loadMs }))
      return generation
    } catch (error) {
      boot.run(() => publish('fail', { id: slot.id, generation: number, error }))
      throw error
    }
  }

  /** Waits for the load of a tenant. A load that does so lets another have its turn meanwhile: it may be the one that it waits for. */
  async waitFor<Result> (id: string, load: () => Promise<Result>): Promise<Result> {
    if (!this.context.nested) return load()
    return this.#queue.lend(() => this.context.wait(id, load))
  }

  /** Stops reading code afresh, and watching folders. */
  async close (): Promise<void> {
    this.#freshCode.close()
    await this.#parts.watcher?.close()
  }

  async #load (slot: Slot, { number, freshCode, definition: known }: Build, residency: EvictionPolicy): Promise<Generation> {
    const { definitions, options, retirement, createScope, isListening } = this.#parts
    const definition = known ?? await definitions.getForLoad(slot.id)
    this.counts[slot.current === undefined ? 'loads' : 'reloads']++
    return residency.place(slot, async () => {
      const generation = new Generation(slot.id, number, createScope(slot.id), this.#clock, options.drainTimeout)
      try {
        await this.#prepareCode(slot, definition, freshCode)
        await this.#freshCode.reading(definition.dir ?? '', () => generation.load(definition, options))
        if (isListening()) generation.scope.onListen()
        return generation
      } catch (cause) {
        if (definition.dir !== undefined) this.#freshCode.distrust(definition.dir, slot.id)
        await retirement.close(generation)
        throw this.#failed(slot, cause)
      }
    })
  }

  async #prepareCode (slot: Slot, { dir }: TenantDefinition, freshCode: boolean): Promise<void> {
    if (dir === undefined) return
    this.#parts.watcher?.add(slot.id, dir)
    if (freshCode) return this.#freshCode.refresh(dir)
    if (slot.current === undefined) await this.#freshCode.refreshChanged(dir, slot.id)
  }

  /** A tenant that serves already is not kept from its requests by a reload that failed. */
  #failed (slot: Slot, thrown: unknown): Error {
    const { id, current } = slot
    const cause = asError(thrown)
    if (cause instanceof InactiveTenantError) {
      this.#parts.definitions.unknown.add(id)
      return new FST_TENANT_NOT_FOUND(id, { cause })
    }
    if (current === undefined) this.failures.add(id, cause)
    logFailure(this.#parts.log, id, saidOnce(cause), current === undefined ? 'tenant failed to load' : 'tenant failed to reload, and is served as before')
    slot.lastError = cause
    const Failure = isTimeout(cause) ? FST_TENANT_LOAD_TIMEOUT : FST_TENANT_LOAD_FAILED
    const error = current === undefined ? new Failure(id, { cause }) : new Failure(id, `anew; generation ${current.number} goes on serving`, { cause })
    return retryAfter(error, Math.max(1, this.failures.pauseOf(id)))
  }
}

/** Whether Fastify gave up on a plugin or a hook. */
function isTimeout (error: Error): boolean {
  const { code } = error as { code?: unknown }
  return code === 'FST_ERR_PLUGIN_TIMEOUT' || code === 'FST_ERR_HOOK_TIMEOUT'
}
