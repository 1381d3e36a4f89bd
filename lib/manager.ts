import { statistics } from './tenants/statistics.ts'
import { reloadTemplate } from './tenants/template-reload.ts'
import type { BootContext } from './generations/boot-context.ts'
import type { EvictionPolicy } from './tenants/eviction-policy.ts'
import type { TenantLoader } from './tenants/loader.ts'
import type { Refusals } from './tenants/refusals.ts'
import type { TenantRegistry } from './tenants/registry.ts'
import type { Templates } from './templates/templates.ts'
import type { Identification } from './identification/identification.ts'
import type { ResolvedOptions } from './options.ts'
import type { ParentApp } from './app/parent-app.ts'
import type * as types from '../types/index.ts'
import type { DrainReport, Identify, MultitenantStatistics, ReloadOptions, ReloadReport, StatsOptions, TemplateReloadReport, Tenant } from '../types/index.ts'

/** The objects behind the manager. */
export interface ManagerContext {
  parent: ParentApp
  options: ResolvedOptions
  boot: BootContext
  refusals: Refusals
  loader: TenantLoader
  registry: TenantRegistry
  templates: Templates
  evictionPolicy: EvictionPolicy
  identification: Identification
}

/** The tenants of an app: `app.multitenant`. */
export class TenantManager implements types.TenantManager {
  readonly #context: ManagerContext

  constructor (context: ManagerContext) {
    this.#context = context
  }

  /** The tenant if it is loaded, otherwise `null`. Never loads a tenant. */
  get (id: string): Tenant | null {
    return this.#context.registry.active(id)?.tenant ?? null
  }

  /**
   * The tenant, loaded if necessary, even if it was unknown or failed to load a moment ago. Waits until the app is ready.
   * @throws {FST_TENANT_NOT_FOUND}
   * @throws {FST_TENANT_LOAD_FAILED}
   * @throws {FST_TENANT_LOAD_TIMEOUT}
   * @throws {FST_TENANT_SUSPENDED}
   * @throws {FST_TENANT_BUSY} when more requests and jobs than `maxWaiting` wait for the tenant
   * @throws {FST_TENANT_OVERLOADED}
   * @throws {FST_TENANT_CLOSED} when the app closes
   */
  async init (id: string): Promise<Tenant> {
    await this.#context.parent.ready()
    return this.preload(id)
  }

  /** Like `init()`, but does not wait until the app is ready: for onReady hooks. Throws the same errors. */
  async preload (id: string): Promise<Tenant> {
    const generation = await this.#context.registry.load(id)
    return generation.tenant
  }

  /**
   * Builds a new generation of the tenant beside the one that serves, and swaps the two. Resolves when the new one serves.
   * Throws the errors of `init()`. After an error the old generation keeps serving, unless the tenant no longer exists, is inactive or is suspended.
   */
  async reload (id: string, { code = true }: ReloadOptions = {}): Promise<ReloadReport> {
    await this.#context.parent.ready()
    const { generation, drain } = await this.#context.registry.reload(id, code)
    return { generation: generation.number, drain }
  }

  /**
   * Builds a new generation of a template, swaps the two, and rebuilds the tenants on it. Resolves when all that could be rebuilt run on the
   * new generation.
   * @throws {FST_TENANT_TEMPLATE_NOT_FOUND}
   * @throws {FST_TENANT_TEMPLATE_FAILED}
   * @throws {FST_TENANT_LOAD_FAILED} when the template's own load calls this
   */
  async reloadTemplate (name: string, { code = true }: ReloadOptions = {}): Promise<TemplateReloadReport> {
    await this.#context.parent.ready()
    return reloadTemplate(name, code, this.#context)
  }

  /**
   * Unloads the tenant when its requests and jobs have ended, or by force after `drainTimeout` ms. Resolves to `null` when it is not loaded.
   * @throws {FST_TENANT_LOAD_FAILED} when the tenant's own load calls this
   */
  async unload (id: string): Promise<DrainReport | null> {
    this.#context.refusals.refuseCircularLoad(id)
    return this.#context.registry.unload(id)
  }

  /**
   * Refuses the tenant's requests and jobs with FST_TENANT_SUSPENDED until `resume()`, and unloads the tenant.
   * @throws {FST_TENANT_NOT_FOUND}
   * @throws {FST_TENANT_LOAD_FAILED} when the source fails, or the tenant's own load calls this
   */
  async suspend (id: string): Promise<DrainReport | null> {
    return this.#context.registry.suspend(id)
  }

  /** Ends the suspension by `suspend()`. */
  resume (id: string): void {
    this.#context.refusals.resume(id)
  }

  /**
   * Runs a job of the tenant, which stays loaded until the job ends. `signal` is aborted when the tenant is closed by force.
   * Throws the errors of `init()` and those of the job.
   * @throws {FST_TENANT_BUSY} also when the tenant has `maxInFlight` requests and jobs
   */
  async run<Result> (id: string, job: (tenant: Tenant, signal: AbortSignal) => Result | Promise<Result>): Promise<Result> {
    const controller = new AbortController()
    const holder = { req: { method: 'JOB', url: job.name }, destroy: () => controller.abort() }
    await this.#context.parent.ready()
    const lease = await this.#context.registry.claim(id, holder)
    try {
      return await job(lease.generation.tenant, controller.signal)
    } finally {
      lease.release()
    }
  }

  /** The ids of all tenants of the sources, loaded or not. */
  async list (): Promise<string[]> {
    const { boot, options: { source } } = this.#context
    return boot.run(async () => {
      const ids: string[] = []
      for await (const id of source.list()) ids.push(id)
      return ids
    })
  }

  /** Counts of all tenants, and details of those that are in memory, failed or suspended. */
  async stats (options: StatsOptions = {}): Promise<MultitenantStatistics> {
    const now = statistics(this.#context, options)
    const total = await this.#context.options.source.count?.() ?? (await this.list()).length
    return { total, inactive: total - now.active, ...now }
  }

  /**
   * Replaces the identification strategy for all later requests.
   * @throws {FST_TENANT_OPTION_INVALID} when it is not a strategy, or the app lacks something that it needs
   */
  setIdentificationStrategy (strategy: Identify | readonly Identify[]): void {
    this.#context.identification.use(strategy)
  }
}
