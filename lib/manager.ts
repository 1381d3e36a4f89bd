import { statistics } from './tenants/statistics.ts'
import type { BootContext } from './tenants/boot-context.ts'
import type { TenantLoader } from './tenants/loader.ts'
import type { Definitions } from './tenants/definitions.ts'
import type { TenantRegistry } from './tenants/registry.ts'
import type { Identification } from './identification/identification.ts'
import type { ResolvedOptions } from './options.ts'
import type { ParentApp } from './app/parent-app.ts'
import type * as types from '../types/index.ts'
import type { DrainReport, Identify, MultitenantStatistics, ReloadOptions, ReloadReport, StatsOptions, Tenant } from '../types/index.ts'

/** What the manager manages. */
export interface ManagerContext {
  host: ParentApp
  options: ResolvedOptions
  boot: BootContext
  definitions: Definitions
  builder: TenantLoader
  registry: TenantRegistry
  identification: Identification
}

/** The tenants of an app: `app.multitenant`. */
export class TenantManager implements types.TenantManager {
  readonly #context: ManagerContext

  constructor (context: ManagerContext) {
    this.#context = context
  }

  /** The tenant when it is loaded, else `null`. Loads nothing. */
  get (id: string): Tenant | null {
    return this.#context.registry.active(id)?.tenant ?? null
  }

  /**
   * The tenant, loaded when it is not: also when it is remembered as unknown or as failed. Waits until the app is ready.
   * @throws FST_TENANT_NOT_FOUND, FST_TENANT_LOAD_FAILED, FST_TENANT_LOAD_TIMEOUT, FST_TENANT_SUSPENDED, FST_TENANT_BUSY,
   * FST_TENANT_OVERLOADED, FST_TENANT_CLOSED
   */
  async init (id: string): Promise<Tenant> {
    await this.#context.host.ready()
    return this.preload(id)
  }

  /** As `init()`, for the time when the app itself becomes ready. */
  async preload (id: string): Promise<Tenant> {
    const generation = await this.#context.registry.load(id)
    return generation.tenant
  }

  /**
   * Builds the tenant anew beside the one that serves, and swaps the two. Resolves when the new one serves.
   * @throws as `init`; the tenant that serves goes on then
   */
  async reload (id: string, { code = true }: ReloadOptions = {}): Promise<ReloadReport> {
    await this.#context.host.ready()
    const { generation, drain } = await this.#context.registry.reload(id, code)
    return { generation: generation.number, drain }
  }

  /**
   * Unloads the tenant after its requests are over, at most `drainTimeout` ms later; `null` when it is not loaded.
   * @throws FST_TENANT_LOAD_FAILED when the tenant's own load asks for it
   */
  async unload (id: string): Promise<DrainReport | null> {
    this.#context.registry.admission.refuseItself(id)
    return this.#context.registry.unload(id)
  }

  /**
   * Refuses the tenant's requests and jobs with FST_TENANT_SUSPENDED from now on, and unloads it.
   * @throws FST_TENANT_NOT_FOUND, FST_TENANT_LOAD_FAILED when the source fails, or the tenant's own load asks for it
   */
  async suspend (id: string): Promise<DrainReport | null> {
    return this.#context.registry.suspend(id)
  }

  /** Ends what `suspend()` began. */
  resume (id: string): void {
    this.#context.registry.resume(id)
  }

  /**
   * Runs a job of the tenant, which stays loaded until the job is over. `signal` is aborted when the tenant is closed by force.
   * @throws as `init`, and what the job throws
   */
  async run<Result> (id: string, job: (tenant: Tenant, signal: AbortSignal) => Result | Promise<Result>): Promise<Result> {
    const controller = new AbortController()
    const holder = { req: { method: 'JOB', url: job.name }, destroy: () => controller.abort() }
    await this.#context.host.ready()
    const lease = await this.#context.registry.claim(id, holder)
    try {
      return await job(lease.generation.tenant, controller.signal)
    } finally {
      lease.release()
    }
  }

  /** The ids of all tenants that the sources know, loaded or not. */
  async list (): Promise<string[]> {
    const { boot, options: { source } } = this.#context
    return boot.run(async () => {
      const ids: string[] = []
      for await (const id of source.list()) ids.push(id)
      return ids
    })
  }

  /** How many tenants there are, and how those do that are in memory. */
  async stats (options: StatsOptions = {}): Promise<MultitenantStatistics> {
    const now = statistics(this.#context, options)
    const total = await this.#context.options.source.count?.() ?? (await this.list()).length
    return { total, inactive: total - now.active, ...now }
  }

  /**
   * Replaces the identification strategy; the requests that come from now on are identified by it.
   * @throws FST_TENANT_OPTION_INVALID when it is none, or the app lacks what it needs
   */
  setIdentificationStrategy (strategy: Identify | readonly Identify[]): void {
    this.#context.identification.use(strategy)
  }
}
