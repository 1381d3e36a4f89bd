import type { FastifyBaseLogger } from 'fastify'
import { Stagger } from './stagger.ts'
import type { Builder } from './builder.ts'
import type { Definitions } from './definitions.ts'
import type { TenantRegistry } from './registry.ts'
import type { LoadedTenant, TenantChange, TenantSource } from '../../types/index.ts'

/** Whose changes are followed, and what they change. */
export interface SourceWatchContext {
  source: TenantSource
  definitions: Definitions
  builder: Builder
  registry: TenantRegistry
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
    const { definitions, builder, registry } = this.#context
    if (change === undefined) return definitions.clear()
    const { id, version, active = true } = change
    if (active && version !== undefined && version === registry.active(id)?.version) return
    definitions.changed(id)
    builder.failures.forget(id)
    if (!active) return this.#unload(id)
    // What is being built may have been read before the change.
    if (this.#isWanted(id)) this.#stagger.add(id, () => this.#reload(id))
  }

  /** Its requests may run on for a while: nobody waits for them here. */
  #unload (id: string): void {
    this.#stagger.drop(id)
    this.#context.registry.unload(id)
  }

  /** The code stays as it is in memory: new code comes with a new process. A reload that fails is asked for again when the source next compares. */
  #reload (id: string): void {
    const { registry, log } = this.#context
    if (!this.#isWanted(id)) return
    registry.reload(id, false).then(
      () => log.info({ tenantId: id, version: registry.active(id)?.version }, 'tenant reloaded'),
      err => log.warn({ err, tenantId: id }, 'tenant not reloaded'))
  }

  /** Whether the tenant is loaded, or about to be. */
  #isWanted (id: string): boolean {
    const slot = this.#context.registry.slots.get(id)
    return slot?.current !== undefined || slot?.building === true
  }

  #loaded (): LoadedTenant[] {
    return this.#context.registry.slots.generations().map(({ id, version }) => ({ id, version }))
  }
}
