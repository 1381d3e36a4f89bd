/** Where a generation of a tenant stands in its life. */
export type TenantState = 'loading' | 'active' | 'draining' | 'closed' | 'failed'

/** What `stats()` says of one tenant. The counts are those of its current generation. */
export interface TenantStatistics {
  id: string
  state: TenantState | 'suspended'
  /** Counts the generations of this tenant, from 1; 0 when none is loaded. */
  generation: number
  /** Requests and jobs that run now. */
  inFlight: number
  /** Requests and jobs, those that run now included. */
  requests: number
  /** Requests that were answered with a 5xx. */
  errors: number
  loadedAt: Date | null
  lastUsedAt: Date | null
  /** How long the load took, in ms. */
  loadMs: number | null
  /** The message of what the last load failed with. */
  lastError: string | null
}

/** What `stats()` says of all tenants. */
export interface MultitenantStatistics {
  /** Tenants that the sources know. */
  total: number
  /** Tenants that are loaded. */
  active: number
  /** Tenants that are known and not loaded. */
  inactive: number
  loading: number
  /** Tenants whose last load failed. */
  failed: number
  /** Tenants that `suspend()` refuses in this process. Those that their source suspends are among the inactive. */
  suspended: number
  /** Generations that are at their last requests. */
  draining: number
  /** Loads since the start, the failed ones included. */
  loads: number
  /** Reloads since the start, the failed ones included. */
  reloads: number
  /** Tenants that were unloaded for being idle, since the start. */
  evictions: number
  /** Ids that are remembered as no tenant's. */
  unknown: number
  /** The tenants that are loaded, loading, failed or suspended, by id: at most `limit`, from the one after `after`. */
  tenants: TenantStatistics[]
}

/** Which tenants `stats()` lists. */
export interface StatsOptions {
  /** Default: 100. */
  limit?: number
  /** The id that the list continues after. Default: from the start. */
  after?: string
}

/** How the last requests of a generation came to an end. */
export interface DrainReport {
  generation: number
  /** Whether every request was over before `drainTimeout`. */
  drained: boolean
  /** The requests that were still open when the tenant was closed by force. */
  forced: Array<{ method: string, url: string, ms: number }>
}

/** What `reload()` takes. */
export interface ReloadOptions {
  /** Whether modules are read afresh; without it config and routes are built anew from the code that is in memory. Default: `true`. */
  code?: boolean
}

/** What `reload()` answers with: the new generation takes all requests from here on. */
export interface ReloadReport {
  /** The number of the new generation. */
  generation: number
  /** Resolves when the old generation is closed; `null` when none was loaded. Not to be awaited in a request of the tenant: it waits for that. */
  drain: Promise<DrainReport | null>
}
