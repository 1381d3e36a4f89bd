import type { FastifyBaseLogger } from 'fastify'
import { Stagger } from './stagger.ts'
import type { Builder } from './builder.ts'
import type { TenantRegistry } from './registry.ts'
import type { LoadedTenant, TenantChange, TenantSource } from '../../types/index.ts'

/** Whose changes are followed, and what they change. */
export interface SourceWatchContext {
  source: TenantSource
  registry: TenantRegistry
  builder: Builder
  log: FastifyBaseLogger
}

/** Makes the tenants in memory follow what their source tells of changes. */
export class SourceWatch {
  readonly #context: SourceWatchContext
  readonly #stagger = new Stagger()
  readonly #stop: (() => void) | undefined

  constructor (context: SourceWatchContext) {
    this.#context = context
    this.#stop = this.#start()
  }

  close (): void {
    this.#stop?.()
    this.#stagger.close()
  }

  #start (): (() => void) | undefined {
    const { source, log } = this.#context
    try {
      return source.watch?.(change => this.#onChange(change), () => this.#loaded())
    } catch (err) {
      log.warn({ err }, 'changes of tenants are noticed late or not at all: their source cannot be watched')
      return undefined
    }
  }

  #onChange (change?: TenantChange): void {
    const { builder, registry } = this.#context
    if (change === undefined) return this.#onUnknownChange()
    const { id, version, active = true } = change
    const current = registry.active(id)
    if (active && version !== undefined && version === current?.version) return
    builder.forget(id)
    if (!active) return this.#unload(id)
    // What is being built may have been read before the change.
    if (current !== undefined || registry.isBuilding(id)) this.#stagger.add(id, () => this.#reload(id))
  }

  /** Its requests may run on for a while: nobody waits for them here. */
  #unload (id: string): void {
    this.#stagger.drop(id)
    this.#context.registry.unload(id)
  }

  #onUnknownChange (): void {
    const { builder } = this.#context
    builder.unknown.clear()
    builder.suspended.clear()
  }

  /** The code stays as it is in memory: new code comes with a new process. A reload that fails is asked for again when the source next compares. */
  #reload (id: string): void {
    const { registry, log } = this.#context
    if (registry.active(id) === undefined && !registry.isBuilding(id)) return
    registry.reload(id, false).then(
      () => log.info({ tenantId: id, version: registry.active(id)?.version }, 'tenant reloaded'),
      err => log.warn({ err, tenantId: id }, 'tenant not reloaded'))
  }

  #loaded (): LoadedTenant[] {
    return [...this.#context.registry.slots].flatMap(({ current }) => current === undefined ? [] : { id: current.id, version: current.version })
  }
}
