import type { FastifyInstance } from 'fastify'
import type { TenantRegistry } from './registry.ts'
import type { Tenant } from './tenant.ts'
import type { ResolvedOptions } from '../options.ts'
import type { TenantIdentificationStrategy } from '../identification/strategy.ts'
import type { DrainReport, Identify, MultitenantStatistics } from '../../types/index.ts'

/** Where the identification strategy is kept. */
export interface StrategyHolder {
  strategy: TenantIdentificationStrategy
}

/** The tenants of an app: `app.multitenant`. */
export class TenantManager {
  readonly #app: FastifyInstance
  readonly #registry: TenantRegistry
  readonly #hooks: StrategyHolder
  readonly #options: ResolvedOptions

  constructor (app: FastifyInstance, registry: TenantRegistry, hooks: StrategyHolder, options: ResolvedOptions) {
    this.#app = app
    this.#hooks = hooks
    this.#registry = registry
    this.#options = options
  }

  /** The tenant when it is loaded, else `null`. Loads nothing. */
  get (id: string): Tenant | null {
    return this.#registry.active(id)?.tenant ?? null
  }

  /**
   * The tenant, loaded when it is not. Waits until the app is ready.
   * @throws FST_TENANT_NOT_FOUND, FST_TENANT_LOAD_FAILED with the cause, FST_TENANT_CLOSED when the app closes
   */
  async init (id: string): Promise<Tenant> {
    await this.#app.ready()
    const generation = await this.#registry.load(id)
    return generation.tenant
  }

  /** Unloads the tenant after its requests are over, at most `drainTimeout` ms later; `null` when it is not loaded. */
  async unload (id: string): Promise<DrainReport | null> {
    return this.#registry.unload(id)
  }

  /** The ids of all tenants that the sources know, loaded or not. */
  async list (): Promise<string[]> {
    const ids: string[] = []
    for await (const id of this.#options.source.list()) ids.push(id)
    return ids
  }

  /**
   * Replaces the identification strategy; the requests that come from now on are identified by it.
   * @throws FST_TENANT_OPTION_INVALID when it is none
   */
  setIdentificationStrategy (strategy: Identify | readonly Identify[]): void {
    this.#hooks.strategy = this.#options.toStrategy(strategy)
  }

  /** How many tenants there are, and how the loaded ones do. */
  async stats (): Promise<MultitenantStatistics> {
    const slots = [...this.#registry.slots]
    const tenants = slots.flatMap(({ current }) => current === undefined ? [] : [current.statistics()])
    const total = (await this.list()).length
    return {
      total,
      active: tenants.length,
      inactive: total - tenants.length,
      loading: slots.filter(slot => slot.loading).length,
      draining: slots.reduce((sum, slot) => sum + slot.draining, 0),
      loads: this.#registry.loads,
      tenants
    }
  }
}
