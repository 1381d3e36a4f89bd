import type { FastifyInstance } from 'fastify'
import type { Identify } from './identification.ts'
import type { TenantConfig, TenantServices } from './tenant-config.ts'

/** The stage of a generation's life. */
export type TenantState = 'loading' | 'active' | 'draining' | 'closed' | 'failed'

/** The figures of one tenant in `stats()`. The counts are those of its current generation. */
export interface TenantStatistics {
  /** The id of the tenant. */
  id: string
  /** The name of its template. `null` if it has none, or is not loaded. */
  template: string | null
  /** The state of its current generation, or `'suspended'`. */
  state: TenantState | 'suspended'
  /** The number of the current generation, from 1. 0 if none is loaded. */
  generation: number
  /** Running requests and jobs. */
  inFlight: number
  /** All requests and jobs so far, running ones included. */
  requests: number
  /** Requests that were answered with a 5xx status. */
  errors: number
  /** When the current generation was loaded. `null` if none is. */
  loadedAt: Date | null
  /** When the tenant was last used. `null` if no generation is loaded. */
  lastUsedAt: Date | null
  /** How long the load took, in ms. `null` if no generation is loaded. */
  loadMs: number | null
  /** The message of the last load's error. `null` if it succeeded. */
  lastError: string | null
}

/** The figures of one template in `stats()`. */
export interface TemplateStatistics {
  /** The name of the template. */
  name: string
  /** The state of its current generation. */
  state: TenantState
  /** The number of the current generation, from 1. 0 if none is loaded. */
  generation: number
  /** How many loaded generations of tenants are built on its current generation. */
  tenants: number
  /** Earlier generations that tenants still use. */
  draining: number
  /** When the current generation was loaded. `null` if none is. */
  loadedAt: Date | null
  /** How long the load took, in ms. `null` if no generation is loaded. */
  loadMs: number | null
  /** The message of the last load's error. `null` if it succeeded. */
  lastError: string | null
}

/** The figures of all tenants, from `stats()`. */
export interface MultitenantStatistics {
  /** Tenants that the sources know. */
  total: number
  /** Tenants that are loaded. */
  active: number
  /** Loaded tenants without code of their own: they are counted by `maxResident`, the others by `maxActive`. */
  resident: number
  /** Tenants that are known and not loaded. */
  inactive: number
  /** Tenants that are loading now. */
  loading: number
  /** Tenants whose last load failed. */
  failed: number
  /** Tenants that `suspend()` has suspended in this process. Tenants that their source suspends count as inactive. */
  suspended: number
  /** Generations that finish their last requests. */
  draining: number
  /** Loads since the start, failed ones included. */
  loads: number
  /** Reloads since the start, failed ones included. */
  reloads: number
  /** Tenants that were unloaded since the start because they were idle. */
  evictions: number
  /** Ids that are remembered as unknown. */
  unknown: number
  /** The tenants that are loaded, loading, failed or suspended, sorted by id: at most `limit`, starting after the id `after`. */
  tenants: TenantStatistics[]
  /** The templates that tenants have named, sorted by name. */
  templates: TemplateStatistics[]
}

/** Which tenants `stats()` lists. */
export interface StatsOptions {
  /** How many tenants are listed at most. Default: 100. */
  limit?: number
  /** The list starts after this id. Default: it starts at the first tenant. */
  after?: string
}

/** How the last requests of a generation ended. */
export interface DrainReport {
  /** The number of the generation. */
  generation: number
  /** Whether every request ended before `drainTimeout`. */
  drained: boolean
  /** The requests that were still running when the generation was closed by force. `ms`: how long each had been running. */
  forced: Array<{ method: string, url: string, ms: number }>
}

/** The options of `reload()`. */
export interface ReloadOptions {
  /** Whether modules are read again. With `false`, config and routes are built again from the code in memory. Default: `true`. */
  code?: boolean
}

/** The result of `reload()`. The new generation takes all requests from here on. */
export interface ReloadReport {
  /** The number of the new generation. */
  generation: number
  /** Resolves when the old generation is closed, with `null` if none was loaded. Do not await it in a request of the tenant: it waits for that request. */
  drain: Promise<DrainReport | null>
}

/** The result of `reloadTemplate()`. */
export interface TemplateReloadReport {
  /** The number of the template's new generation. */
  generation: number
  /** How many tenants run on the new generation. */
  reloaded: number
  /** The ids of the tenants that could not be rebuilt. They keep running on the old generation. */
  failed: string[]
  /** Resolves when the old generation is closed: when its last tenant has left it. `null` if none was loaded. */
  drain: Promise<null>
}

/** A template, for its own code. */
export interface Template {
  /** The name that tenants give. */
  readonly name: string
  /** Counts the loads of this template, from 1. */
  readonly generation: number
}

/** One generation of a tenant, for requests, jobs and the tenant's own code. */
export interface Tenant {
  /** The id that requests name. */
  readonly id: string
  /** The display name: the definition's, else the index module's, else the config's `name`, else the id. */
  readonly name: string
  /** The tenant's config, checked against `configSchema`. */
  readonly config: TenantConfig
  /**
   * The Fastify instance that the tenant's requests are answered in: its own, else that of its template, else the app. Its `inject()`
   * belongs to the tenant in each case.
   */
  readonly app: FastifyInstance
  /** The name of its template. `null` if it has none. */
  readonly template: string | null
  /** Counts the loads of this tenant since it came into memory, from 1. */
  readonly generation: number
  /** The stage of this generation's life. */
  readonly state: TenantState
  /** Whether this generation takes requests. */
  readonly active: boolean
  /**
   * Returns the service of that name.
   * @throws {FST_TENANT_SERVICE_NOT_FOUND} when the tenant has no such service; the message lists those it has
   */
  getService<Name extends keyof TenantServices> (name: Name): TenantServices[Name]
  getService<Service = unknown> (name: string): Service
  /** Returns the names of the tenant's services, sorted. */
  listServices (): string[]
  /** Returns the id. */
  toString (): string
  /** Returns the public facts about a tenant, never its config. */
  toJSON (): { id: string, name: string, state: TenantState, generation: number, services: string[] }
}

/** The tenants of an app: `app.multitenant`. */
export interface TenantManager {
  /** Returns the tenant if it is loaded, else `null`. Loads nothing. */
  get (id: string): Tenant | null
  /**
   * Returns the tenant, and loads it first if it is not loaded, even if it is remembered as unknown or failed. Waits until the app is ready.
   * @throws {FST_TENANT_NOT_FOUND}
   * @throws {FST_TENANT_SUSPENDED}
   * @throws {FST_TENANT_LOAD_FAILED}
   * @throws {FST_TENANT_LOAD_TIMEOUT}
   * @throws {FST_TENANT_BUSY}
   * @throws {FST_TENANT_OVERLOADED}
   * @throws {FST_TENANT_CLOSED}
   */
  init (id: string): Promise<Tenant>
  /** Does the same as `init()`, but does not wait for the app. Use it in onReady hooks. */
  preload (id: string): Promise<Tenant>
  /**
   * Builds a new generation beside the one that serves, and swaps the two. Resolves when the new one serves.
   * The current generation keeps serving after a failure. Throws the same errors as `init()`.
   */
  reload (id: string, options?: ReloadOptions): Promise<ReloadReport>
  /**
   * Builds a new generation of a template beside the one that serves, swaps the two, and then rebuilds the tenants on it, one by one, without
   * reading their own code again. Resolves when all tenants that could be rebuilt run on the new generation.
   * @throws {FST_TENANT_TEMPLATE_NOT_FOUND}
   * @throws {FST_TENANT_TEMPLATE_FAILED} when it cannot be loaded; everything stays as it was
   */
  reloadTemplate (name: string, options?: ReloadOptions): Promise<TemplateReloadReport>
  /**
   * Unloads the tenant after its requests, at most `drainTimeout` ms later. Returns `null` if it is not loaded.
   * @throws {FST_TENANT_LOAD_FAILED} when the tenant's own load asks for it
   */
  unload (id: string): Promise<DrainReport | null>
  /**
   * Refuses the tenant's requests and jobs with FST_TENANT_SUSPENDED from now on, and unloads the tenant.
   * @throws {FST_TENANT_NOT_FOUND}
   * @throws {FST_TENANT_LOAD_FAILED} when the source fails, or the tenant's own load asks for it
   */
  suspend (id: string): Promise<DrainReport | null>
  /** Ends a suspension. */
  resume (id: string): void
  /**
   * Runs a job of the tenant, which stays loaded until the job is over. `signal` is aborted when the tenant is closed by force.
   * Throws the same errors as `init()`, and whatever the job throws.
   */
  run<Result> (id: string, job: (tenant: Tenant, signal: AbortSignal) => Result | Promise<Result>): Promise<Result>
  /** Returns the ids of all tenants that the sources know, loaded or not. */
  list (): Promise<string[]>
  /** Returns counts of all tenants, and one page of those in memory. */
  stats (options?: StatsOptions): Promise<MultitenantStatistics>
  /**
   * Replaces the identification strategy for all requests that come from now on.
   * @throws {FST_TENANT_OPTION_INVALID} when it is not a strategy, or the app lacks what it needs
   */
  setIdentificationStrategy (strategy: Identify | readonly Identify[]): void
}
