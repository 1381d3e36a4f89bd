import type { FastifyBaseLogger } from 'fastify'
import { Failures } from './failures.ts'
import { saidOnce } from './said-once.ts'
import { Jitter } from './jitter.ts'
import type { HostLookup } from '../hosts/host-lookup.ts'
import type { TenantLoader } from './loader.ts'
import type { Definitions } from './definitions.ts'
import type { TenantRegistry } from './registry.ts'
import type { LoadedTenant, TenantChange, TenantSource } from '../../types/index.ts'

/** Whose changes are followed, and what they change. */
export interface SourceChangesContext {
  source: TenantSource
  definitions: Definitions
  builder: TenantLoader
  registry: TenantRegistry
  /** Where hosts are looked up; `undefined` when the source knows none. */
  hosts: HostLookup | undefined
  log: FastifyBaseLogger
}

/** Makes the tenants in memory follow what their source tells of changes. */
export class SourceChanges {
  readonly #context: SourceChangesContext
  readonly #stagger = new Jitter()
  /** The versions that tenants in memory could not be reloaded in. */
  readonly #failures = new Failures()
  readonly #stop: (() => void) | undefined

  constructor (context: SourceChangesContext) {
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
    const { definitions, builder, hosts, registry } = this.#context
    if (change === undefined) return this.#onUnknownChange()
    const { id, version, active = true } = change
    if (change.hosts !== undefined) hosts?.forget(change.hosts)
    const current = registry.active(id)
    if (active && version !== undefined && version === current?.version) return
    if (active && current !== undefined && this.#isPaused(id, version)) return
    definitions.changed(id)
    registry.lookups.changed(id)
    builder.failures.forget(id)
    if (change.hosts === undefined) hosts?.doubt()
    if (!active) return this.#unload(id)
    // What is being built may have been read before the change.
    if (this.#isWanted(id)) this.#stagger.add(id, () => this.#reload(id, version))
  }

  /** Its requests may run on for a while: nobody waits for them here. */
  #unload (id: string): void {
    this.#stagger.drop(id)
    this.#context.registry.unload(id)
  }

  #onUnknownChange (): void {
    const { definitions, hosts } = this.#context
    hosts?.doubt()
    definitions.clear()
  }

  /** A source that compares tells of a change until it is followed: one that cannot be is tried again after growing pauses. */
  #isPaused (id: string, version: string | undefined): boolean {
    return version !== undefined && this.#failures.pauseOf(keyOf(id, version)) > 0
  }

  /** The code stays as it is in memory: new code comes with a new process. */
  #reload (id: string, version: string | undefined): void {
    const { registry, log } = this.#context
    if (!this.#isWanted(id)) return
    registry.reload(id, false).then(
      () => log.info({ tenantId: id, version: registry.active(id)?.version }, 'tenant reloaded'),
      err => {
        // What a source failed with may be over as soon as it answers, and is no fault of this version.
        if (err.cause === registry.slots.get(id)?.lastError) this.#failures.add(keyOf(id, version), err)
        log.warn({ err: saidOnce(err), tenantId: id }, 'tenant not reloaded')
      })
  }

  /** Whether the tenant is loaded, or about to be. */
  #isWanted (id: string): boolean {
    return this.#context.registry.slots.get(id)?.wanted === true
  }

  #loaded (): LoadedTenant[] {
    return this.#context.registry.slots.generations().map(({ id, version }) => ({ id, version }))
  }
}

/** Another version may be mended: it has pauses of its own. */
function keyOf (id: string, version: string | undefined): string {
  return JSON.stringify([id, version])
}
