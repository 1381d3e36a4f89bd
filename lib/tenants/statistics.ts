import { asError } from '../utils/as-error.ts'
import type { TenantLoader } from './loader.ts'
import type { Definitions } from './definitions.ts'
import type { TenantRegistry } from './registry.ts'
import type { MultitenantStatistics, StatsOptions, TenantStatistics } from '../../types/index.ts'

/** What there is to say of the tenants in memory. */
export function statistics (
  { builder, definitions, registry }: { builder: TenantLoader, definitions: Definitions, registry: TenantRegistry },
  { limit = 100, after }: StatsOptions
): Omit<MultitenantStatistics, 'total' | 'inactive'> {
  const { suspended } = registry.admission
  const slots = [...registry.slots]
  const active = slots.filter(slot => slot.current !== undefined).length
  const ids = new Set([...slots.map(slot => slot.id), ...builder.failures.ids(), ...suspended])
  const listed = [...ids].sort().filter(id => after === undefined || id > after).slice(0, limit)
  return {
    active,
    loading: slots.filter(slot => slot.building).length,
    failed: builder.failures.size,
    suspended: suspended.size,
    draining: slots.reduce((sum, slot) => sum + slot.draining, 0),
    ...builder.counts,
    evictions: registry.residency.evictions,
    unknown: definitions.unknown.size,
    tenants: listed.map(id => statisticsOf(id, builder, registry))
  }
}

function statisticsOf (id: string, builder: TenantLoader, registry: TenantRegistry): TenantStatistics {
  const error = registry.slots.get(id)?.lastError ?? builder.failures.errorOf(id)
  const lastError = error === undefined ? null : messageOf(error)
  const loaded = registry.active(id)?.statistics()
  if (loaded !== undefined) return { ...loaded, lastError }
  return { id, state: stateOf(id, error, registry), generation: 0, inFlight: 0, requests: 0, errors: 0, loadedAt: null, lastUsedAt: null, loadMs: null, lastError }
}

/** Plugins may throw anything. */
function messageOf (error: unknown): string {
  return asError(error).message
}

function stateOf (id: string, error: unknown, registry: TenantRegistry): TenantStatistics['state'] {
  if (registry.admission.suspended.has(id)) return 'suspended'
  if (registry.slots.get(id)?.building) return 'loading'
  return error === undefined ? 'draining' : 'failed'
}
