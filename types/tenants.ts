/** Where a generation of a tenant stands in its life. */
export type TenantState = 'loading' | 'active' | 'draining' | 'closed' | 'failed'

/** What `stats()` says of one loaded tenant. */
export interface TenantStatistics {
  id: string
  state: TenantState
  /** Counts the loads of this tenant, from 1. */
  generation: number
  /** Requests that are being answered now. */
  inFlight: number
  /** Requests that were answered or are being answered by this generation. */
  requests: number
  loadedAt: Date | null
  /** How long the load took, in ms. */
  loadMs: number | null
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
  draining: number
  /** Loads since the start, the failed ones included. */
  loads: number
  tenants: TenantStatistics[]
}

/** What `unload()` reports. */
export interface DrainReport {
  generation: number
  /** Whether every request was over before `drainTimeout`. */
  drained: boolean
  /** The requests that were still open when the tenant was closed by force. */
  forced: Array<{ method: string, url: string, ms: number }>
}
