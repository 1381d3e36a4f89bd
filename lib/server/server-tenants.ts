import { FST_TENANT_SERVER_NOT_STARTED } from '../errors.ts'
import { readsBaseDomain, resolveStrategy } from '../identification/resolve-strategy.ts'
import type { FastifyInstance } from 'fastify'
import type { DrainReport, Identify, MultitenantStatistics, ReloadOptions, ReloadReport, StatsOptions, TemplateReloadReport, Tenant, TenantManager } from '../../types/index.ts'

/**
 * Forwards to `app.multitenant`, which exists once the server has started. Before that, only the identification strategy can be set.
 * @throws {FST_TENANT_SERVER_NOT_STARTED} when any other method is called before the start
 */
export class ServerTenantManager implements TenantManager {
  readonly #app: FastifyInstance
  readonly #baseDomain: string | undefined

  constructor (app: FastifyInstance, baseDomain: string | undefined) {
    this.#app = app
    this.#baseDomain = baseDomain
  }

  /** See `TenantManager`. You can call this before the server has started. */
  setIdentificationStrategy (strategy: Identify | readonly Identify[]): void {
    if (this.#started) return this.#tenants.setIdentificationStrategy(strategy)
    // Refuses an invalid strategy now, not only when the server starts.
    resolveStrategy(strategy, { baseDomain: readsBaseDomain(strategy) ? this.#baseDomain : undefined })
    this.#app.addHook('onReady', async () => this.#tenants.setIdentificationStrategy(strategy))
  }

  get (id: string): Tenant | null {
    return this.#tenants.get(id)
  }

  async init (id: string): Promise<Tenant> {
    return this.#tenants.init(id)
  }

  async preload (id: string): Promise<Tenant> {
    return this.#tenants.preload(id)
  }

  async reload (id: string, options?: ReloadOptions): Promise<ReloadReport> {
    return this.#tenants.reload(id, options)
  }

  async reloadTemplate (name: string, options?: ReloadOptions): Promise<TemplateReloadReport> {
    return this.#tenants.reloadTemplate(name, options)
  }

  async unload (id: string): Promise<DrainReport | null> {
    return this.#tenants.unload(id)
  }

  async suspend (id: string): Promise<DrainReport | null> {
    return this.#tenants.suspend(id)
  }

  resume (id: string): void {
    this.#tenants.resume(id)
  }

  async run<Result> (id: string, job: (tenant: Tenant, signal: AbortSignal) => Result | Promise<Result>): Promise<Result> {
    return this.#tenants.run(id, job)
  }

  async list (): Promise<string[]> {
    return this.#tenants.list()
  }

  async stats (options?: StatsOptions): Promise<MultitenantStatistics> {
    return this.#tenants.stats(options)
  }

  get #started (): boolean {
    return this.#app.hasDecorator('multitenant')
  }

  get #tenants (): TenantManager {
    if (!this.#started) throw new FST_TENANT_SERVER_NOT_STARTED()
    return this.#app.multitenant
  }
}
