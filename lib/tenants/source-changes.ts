import type { FastifyBaseLogger } from 'fastify'
import { Failures } from '../generations/failures.ts'
import { Jitter } from './jitter.ts'
import type { HostLookup } from '../hosts/host-lookup.ts'
import type { Refusals } from './refusals.ts'
import type { TenantRegistry } from './registry.ts'
import type { LoadedTenant, TenantChange, TenantSource } from '../../types/index.ts'

/** The source that is watched, and the objects that its changes are applied to. */
export interface SourceChangesContext {
  options: { source: TenantSource }
  refusals: Refusals
  registry: TenantRegistry
  /** `undefined` when the source knows no hosts. */
  hosts: HostLookup | undefined
  log: FastifyBaseLogger
}

/** Reloads a tenant without reading its code again. Resolves when the reload is over. `onFailure` is called before the failure is logged. Never rejects. */
export type ReloadTenant = (id: string, onFailure: (error: unknown) => void) => Promise<void>

/** A change may concern 100,000 tenants. These limits keep their reloads from taking the places of other loads, or from being refused. */
const RELOADS = { limit: 20, hardLimit: 100, patience: 250 }

/** Applies the changes that the source announces to the tenants in memory. */
export class SourceChanges {
  readonly #context: SourceChangesContext
  readonly #reloadTenant: ReloadTenant
  readonly #jitter = new Jitter(RELOADS)
  /** The versions that tenants in memory failed to reload with. */
  readonly #failures = new Failures()
  readonly #stop: (() => void) | undefined

  constructor (context: SourceChangesContext, reload: ReloadTenant) {
    this.#context = context
    this.#reloadTenant = reload
    this.#stop = this.#start()
  }

  close (): void {
    this.#stop?.()
    this.#jitter.close()
  }

  #start (): (() => void) | undefined {
    const { options: { source }, log } = this.#context
    try {
      return source.watch?.(change => this.#onChange(change), () => this.#loaded())
    } catch (err) {
      log.warn({ err }, 'the source of tenants cannot be watched: changes are noticed late or not at all')
      return undefined
    }
  }

  #onChange (change?: TenantChange): void {
    const { refusals, hosts, registry } = this.#context
    if (change === undefined) return this.#onUnknownChange()
    const { id, version, active = true } = change
    if (change.hosts !== undefined) hosts?.forget(change.hosts)
    const current = registry.active(id)
    if (active && version !== undefined && version === current?.version) return
    if (active && current !== undefined && this.#isPaused(id, version)) return
    refusals.changed(id)
    registry.lookups.changed(id)
    if (change.hosts === undefined) hosts?.doubt()
    if (!active) return this.#unload(id)
    // A generation that is being built may have been read before the change, so it is reloaded too.
    if (this.#isLoadedOrLoading(id)) this.#jitter.add(id, () => this.#reload(id, version))
  }

  /** Does not wait until the tenant's requests have ended, which may take long. */
  #unload (id: string): void {
    this.#jitter.drop(id)
    this.#context.registry.unload(id)
  }

  #onUnknownChange (): void {
    const { refusals, hosts } = this.#context
    hosts?.doubt()
    refusals.anyChanged()
  }

  /** A source that compares versions announces a change until the tenant has that version. A version that fails to load is tried again after pauses that grow. */
  #isPaused (id: string, version: string | undefined): boolean {
    return version !== undefined && this.#failures.pauseOf(keyOf(id, version)) > 0
  }

  async #reload (id: string, version: string | undefined): Promise<void> {
    if (!this.#isLoadedOrLoading(id)) return
    await this.#reloadTenant(id, error => {
      // Only an error of the tenant itself counts against this version. A source that failed may work again at any moment.
      if ((error as Error).cause === this.#context.registry.slots.get(id)?.lastError) this.#failures.add(keyOf(id, version), error)
    })
  }

  #isLoadedOrLoading (id: string): boolean {
    return this.#context.registry.slots.get(id)?.loadedOrLoading === true
  }

  /** Reads the slots in a loop, because 100,000 tenants may be loaded. */
  #loaded (): LoadedTenant[] {
    const loaded: LoadedTenant[] = []
    for (const { current } of this.#context.registry.slots) {
      if (current !== undefined) loaded.push({ id: current.id, version: current.version })
    }
    return loaded
  }
}

/** Each version has its own pauses: another version may load. */
function keyOf (id: string, version: string | undefined): string {
  return JSON.stringify([id, version])
}
