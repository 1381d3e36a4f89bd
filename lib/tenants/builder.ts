import type { FastifyBaseLogger } from 'fastify'
import pLimit from 'p-limit'
import type { LimitFunction } from 'p-limit'
import { FST_TENANT_LOAD_FAILED, FST_TENANT_LOAD_TIMEOUT, FST_TENANT_NOT_FOUND, FST_TENANT_SUSPENDED } from '../errors.ts'
import { processCode } from '../loading/fresh-code.ts'
import { InactiveTenantError } from '../loading/standard-config.ts'
import { publish } from './channels.ts'
import { withDeadline } from './deadline.ts'
import { Failures } from './failures.ts'
import { Generation } from './generation.ts'
import { LoadContext } from './load-context.ts'
import { RefusedIds } from './refused-ids.ts'
import { retryAfter } from './retry-after.ts'
import { UseClock } from './use-clock.ts'
import type { Residency } from './residency.ts'
import type { Slot } from './slot.ts'
import type { Watcher } from './watcher.ts'
import type { ResolvedOptions } from '../options.ts'
import type { Scope } from '../scope/scope.ts'
import type { DrainReport, TenantDefinition } from '../../types/index.ts'

/** What tenants are built with. */
export interface BuilderContext {
  options: ResolvedOptions
  log: FastifyBaseLogger
  /** Makes the scope of one generation, with nothing in it. */
  createScope: (id: string) => Scope
  /** Whether the app listens, as the tenants' onListen hooks want to know. */
  isListening: () => boolean
  /** Is told of every folder that a tenant is loaded from. */
  watcher: Watcher | undefined
}

/** Builds generations and takes them down, and remembers what could not be built. */
export class Builder {
  /** The ids that no source knows. */
  readonly unknown = new RefusedIds()
  /** The ids of tenants that their source has suspended. */
  readonly suspended = new RefusedIds()
  readonly failures = new Failures()
  readonly context = new LoadContext()
  /** Counted since the start, failed ones included. */
  readonly counts = { loads: 0, reloads: 0 }
  readonly #options: ResolvedOptions
  readonly #log: FastifyBaseLogger
  readonly #createScope: (id: string) => Scope
  readonly #isListening: () => boolean
  readonly #watcher: Watcher | undefined
  readonly #clock = new UseClock()
  readonly #freshCode = processCode.open()
  readonly #limit: LimitFunction

  constructor ({ options, log, createScope, isListening, watcher }: BuilderContext) {
    this.#watcher = watcher
    this.#isListening = isListening
    this.#options = options
    this.#log = log
    this.#createScope = createScope
    this.#limit = pLimit(options.maxLoading)
  }

  /** Builds and loads a generation. @throws FST_TENANT_NOT_FOUND, FST_TENANT_SUSPENDED, FST_TENANT_LOAD_FAILED, FST_TENANT_LOAD_TIMEOUT, FST_TENANT_OVERLOADED */
  async build (slot: Slot, number: number, freshCode: boolean, residency: Residency): Promise<Generation> {
    const event = slot.current === undefined ? 'load' : 'reload'
    try {
      const generation = await this.context.run(slot.id, () => this.#limit(() => this.#load(slot, number, freshCode, residency)))
      slot.lastError = undefined
      this.failures.forget(slot.id)
      this.unknown.forget(slot.id)
      this.suspended.forget(slot.id)
      publish(event, { id: slot.id, generation: number, ms: generation.loadMs })
      return generation
    } catch (error) {
      publish('fail', { id: slot.id, generation: number, error })
      throw error
    }
  }

  /** Waits for the load of a tenant. A load that does so lets another have its turn meanwhile: it may be the one that it waits for. */
  async waitFor<Result> (id: string, load: () => Promise<Result>): Promise<Result> {
    if (!this.context.nested) return load()
    this.#limit.concurrency++
    try {
      return await this.context.wait(id, load)
    } finally {
      this.#limit.concurrency--
    }
  }

  /** Forgets why a tenant was refused: it has changed. */
  forget (id: string): void {
    this.unknown.changed(id)
    this.suspended.changed(id)
    this.failures.forget(id)
  }

  /** Stops reading code afresh, and watching folders. */
  async close (): Promise<void> {
    this.#freshCode.close()
    await this.#watcher?.close()
  }

  /** Takes a generation out of service when its requests are over. Never rejects. */
  async retire (generation: Generation): Promise<DrainReport> {
    const draining = generation.drain(this.#options.drainTimeout)
    await this.preClose(generation)
    const report = await draining
    if (!report.drained) this.#log.warn({ tenantId: generation.id, ...report }, 'tenant closed by force')
    await this.#close(generation)
    publish('drain', { id: generation.id, ...report })
    return report
  }

  /** Runs the preClose hooks of the tenant, once. Never rejects. */
  async preClose (generation: Generation): Promise<void> {
    const { drainTimeout } = this.#options
    await this.#ending(generation, withDeadline(generation.scope.preClose(), drainTimeout, () => new Error('A preClose hook of the tenant took too long')))
  }

  /** What the source says of a tenant. @throws FST_TENANT_NOT_FOUND, FST_TENANT_LOAD_FAILED when the source fails */
  async define (id: string): Promise<TenantDefinition> {
    const { source, loadTimeout } = this.#options
    const { unknown } = this
    const { age } = unknown
    let definition
    try {
      definition = await withDeadline(Promise.resolve(source.get(id)), loadTimeout, () => new Error('The source of tenants does not answer'))
    } catch (cause) {
      this.#log.error({ err: cause, tenantId: id }, 'tenant source failed')
      throw retryAfter(new FST_TENANT_LOAD_FAILED(id, { cause }), 1)
    }
    if (definition !== null && definition !== undefined) return definition
    // What the source has been told since may be this tenant.
    if (age === unknown.age) unknown.add(id)
    throw new FST_TENANT_NOT_FOUND(id)
  }

  #missing (id: string, cause: Error): Error {
    this.unknown.add(id)
    return Object.assign(new FST_TENANT_NOT_FOUND(id), { cause })
  }

  #suspended (id: string, age: number): Error {
    // The source may have been told since that the tenant is resumed.
    if (age === this.suspended.age) this.suspended.add(id)
    return new FST_TENANT_SUSPENDED(id)
  }

  async #load (slot: Slot, number: number, freshCode: boolean, residency: Residency): Promise<Generation> {
    const { age } = this.suspended
    const definition = await this.define(slot.id)
    if (definition.suspended === true) throw this.#suspended(slot.id, age)
    this.counts[slot.current === undefined ? 'loads' : 'reloads']++
    return residency.place(slot, async () => {
      const generation = new Generation(slot.id, number, this.#createScope(slot.id), this.#clock)
      try {
        await this.#prepareCode(slot, definition, freshCode)
        await this.#freshCode.reading(definition.dir ?? '', () => generation.load(definition, this.#options))
        if (this.#isListening()) generation.scope.onListen()
        return generation
      } catch (cause) {
        if (definition.dir !== undefined) this.#freshCode.distrust(definition.dir, slot.id)
        await this.#close(generation)
        throw this.#failed(slot, cause)
      }
    })
  }

  async #prepareCode (slot: Slot, { dir }: TenantDefinition, freshCode: boolean): Promise<void> {
    if (dir === undefined) return
    this.#watcher?.add(slot.id, dir)
    if (freshCode) return this.#freshCode.refresh(dir)
    if (slot.current === undefined) await this.#freshCode.refreshChanged(dir, slot.id)
  }

  /** A tenant that serves already is not kept from its requests by a reload that failed. */
  #failed (slot: Slot, cause: unknown): Error {
    const { id, current } = slot
    if (cause instanceof InactiveTenantError) return this.#missing(id, cause)
    this.#log.error({ err: cause, tenantId: id }, current === undefined ? 'tenant failed to load' : 'tenant failed to reload, and is served as before')
    slot.lastError = cause
    const Failure = isTimeout(cause) ? FST_TENANT_LOAD_TIMEOUT : FST_TENANT_LOAD_FAILED
    const error = current === undefined ? new Failure(id, { cause }) : new Failure(id, `anew; generation ${current.number} goes on serving`, { cause })
    if (current === undefined) this.failures.add(id, cause)
    return retryAfter(error, Math.max(1, this.failures.pauseOf(id)))
  }

  async #close (generation: Generation): Promise<void> {
    await this.#ending(generation, generation.close(this.#options.loadTimeout))
  }

  /** What fails here is told to nobody else: who asked for it goes on without this generation. */
  async #ending (generation: Generation, work: Promise<void>): Promise<void> {
    try {
      await work
    } catch (err) {
      this.#log.error({ err, tenantId: generation.id }, 'tenant failed to close')
    }
  }
}

/** Whether Fastify gave up on a plugin or a hook. */
function isTimeout (error: unknown): boolean {
  const { code } = error as { code?: unknown }
  return code === 'FST_ERR_PLUGIN_TIMEOUT' || code === 'FST_ERR_HOOK_TIMEOUT'
}
