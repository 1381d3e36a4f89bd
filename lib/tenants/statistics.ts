import { asError } from '../utils/as-error.ts'
import type { EvictionPolicy } from './eviction-policy.ts'
import type { TenantLoader } from './loader.ts'
import type { Refusals } from './refusals.ts'
import type { TenantRegistry } from './registry.ts'
import type { Templates } from '../templates/templates.ts'
import type { MultitenantStatistics, StatsOptions, TenantStatistics } from '../../types/index.ts'

/** How many ids are collected at least before they are sorted. */
const PAGE = 1_000

/** The objects that are counted. */
export interface StatisticsContext {
  loader: TenantLoader
  refusals: Refusals
  registry: TenantRegistry
  evictionPolicy: EvictionPolicy
  templates: Templates
}

/** The counts of all tenants, and the statistics of at most `limit` tenants, sorted by id, that come after the id `after`. */
export function statistics (context: StatisticsContext, { limit = 100, after }: StatsOptions): Omit<MultitenantStatistics, 'total' | 'inactive'> {
  const { loader, refusals: { failures, suspended, unknown }, registry } = context
  const slots = [...registry.slots]
  const active = slots.filter(slot => slot.current !== undefined).length
  const ids = new Set([...slots.map(slot => slot.id), ...failures.ids(), ...suspended])
  return {
    active,
    resident: slots.filter(({ current }) => current !== undefined && current.scope === undefined).length,
    loading: slots.filter(slot => slot.building).length,
    failed: failures.size,
    suspended: suspended.size,
    draining: slots.reduce((sum, slot) => sum + slot.draining, 0),
    ...loader.counts,
    evictions: context.evictionPolicy.evictions,
    unknown: unknown.size,
    tenants: smallest(ids, limit, after).map(id => statisticsOf(id, context)),
    templates: context.templates.statistics()
  }
}

/** Returns the `limit` smallest ids after the id `after`, sorted. It does not sort all ids, because there may be 100,000. */
function smallest (ids: Iterable<string>, limit: number, after: string | undefined): string[] {
  const page: string[] = []
  for (const id of ids) {
    if (after !== undefined && id <= after) continue
    page.push(id)
    if (page.length >= 2 * limit + PAGE) page.sort().splice(limit)
  }
  return page.sort().slice(0, limit)
}

function statisticsOf (id: string, { refusals, registry }: StatisticsContext): TenantStatistics {
  const error = registry.slots.get(id)?.lastError ?? refusals.failures.errorOf(id)
  const lastError = error === undefined ? null : asError(error).message
  const loaded = registry.active(id)?.statistics()
  if (loaded !== undefined) return { ...loaded, lastError }
  return { id, template: null, state: stateOf(id, error, refusals, registry), generation: 0, inFlight: 0, requests: 0, errors: 0, loadedAt: null, lastUsedAt: null, loadMs: null, lastError }
}

function stateOf (id: string, error: unknown, refusals: Refusals, registry: TenantRegistry): TenantStatistics['state'] {
  if (refusals.suspended.has(id)) return 'suspended'
  if (registry.slots.get(id)?.building) return 'loading'
  return error === undefined ? 'draining' : 'failed'
}
