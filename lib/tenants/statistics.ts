import { asError } from '../utils/as-error.ts'
import type { TenantLoader } from './loader.ts'
import type { Refusals } from './refusals.ts'
import type { TenantRegistry } from './registry.ts'
import type { MultitenantStatistics, StatsOptions, TenantStatistics } from '../../types/index.ts'

/** The objects that are counted. */
export interface StatisticsContext {
  loader: TenantLoader
  refusals: Refusals
  registry: TenantRegistry
}

/** The counts of all tenants, and the statistics of at most `limit` tenants, sorted by id, that come after the id `after`. */
export function statistics (context: StatisticsContext, { limit = 100, after }: StatsOptions): Omit<MultitenantStatistics, 'total' | 'inactive'> {
  const { loader, refusals: { failures, suspended, unknown }, registry } = context
  const slots = [...registry.slots]
  const active = slots.filter(slot => slot.current !== undefined).length
  const ids = new Set([...slots.map(slot => slot.id), ...failures.ids(), ...suspended])
  const listed = [...ids].sort().filter(id => after === undefined || id > after).slice(0, limit)
  return {
    active,
    loading: slots.filter(slot => slot.building).length,
    failed: failures.size,
    suspended: suspended.size,
    draining: slots.reduce((sum, slot) => sum + slot.draining, 0),
    ...loader.counts,
    evictions: registry.evictionPolicy.evictions,
    unknown: unknown.size,
    tenants: listed.map(id => statisticsOf(id, context))
  }
}

function statisticsOf (id: string, { refusals, registry }: StatisticsContext): TenantStatistics {
  const error = registry.slots.get(id)?.lastError ?? refusals.failures.errorOf(id)
  const lastError = error === undefined ? null : asError(error).message
  const loaded = registry.active(id)?.statistics()
  if (loaded !== undefined) return { ...loaded, lastError }
  return { id, state: stateOf(id, error, refusals, registry), generation: 0, inFlight: 0, requests: 0, errors: 0, loadedAt: null, lastUsedAt: null, loadMs: null, lastError }
}

function stateOf (id: string, error: unknown, refusals: Refusals, registry: TenantRegistry): TenantStatistics['state'] {
  if (refusals.suspended.has(id)) return 'suspended'
  if (registry.slots.get(id)?.building) return 'loading'
  return error === undefined ? 'draining' : 'failed'
}
