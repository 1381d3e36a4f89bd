import type { Builder } from './builder.ts'
import type { TenantRegistry } from './registry.ts'
import type { MultitenantStatistics, StatsOptions, TenantStatistics } from '../../types/index.ts'

/** What there is to say of the tenants in memory. */
export function statistics (
  { builder, registry }: { builder: Builder, registry: TenantRegistry },
  { limit = 100, after }: StatsOptions
): Omit<MultitenantStatistics, 'total' | 'inactive'> {
  const slots = [...registry.slots]
  const active = slots.filter(slot => slot.current !== undefined).length
  const ids = new Set([...slots.map(slot => slot.id), ...builder.failures.ids(), ...registry.suspended])
  const listed = [...ids].sort().filter(id => after === undefined || id > after).slice(0, limit)
  return {
    active,
    loading: slots.filter(slot => slot.building).length,
    failed: builder.failures.size,
    suspended: registry.suspended.size,
    draining: slots.reduce((sum, slot) => sum + slot.draining, 0),
    ...builder.counts,
    evictions: registry.evictions,
    unknown: builder.unknown.size,
    tenants: listed.map(id => statisticsOf(id, builder, registry))
  }
}

function statisticsOf (id: string, builder: Builder, registry: TenantRegistry): TenantStatistics {
  const error = registry.lastErrorOf(id) ?? builder.failures.errorOf(id)
  const lastError = error === undefined ? null : messageOf(error)
  const loaded = registry.active(id)?.statistics()
  if (loaded !== undefined) return { ...loaded, lastError }
  return { id, state: stateOf(id, error, registry), generation: 0, inFlight: 0, requests: 0, errors: 0, loadedAt: null, lastUsedAt: null, loadMs: null, lastError }
}

/** Plugins may throw anything. */
function messageOf (error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function stateOf (id: string, error: unknown, registry: TenantRegistry): TenantStatistics['state'] {
  if (registry.suspended.has(id)) return 'suspended'
  if (registry.isBuilding(id)) return 'loading'
  return error === undefined ? 'draining' : 'failed'
}
