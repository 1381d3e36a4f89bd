import { FST_TENANT_OPTION_INVALID } from '../errors.ts'
import { combinedSource } from './combined.ts'
import { directorySource } from './directory.ts'
import { objectSource } from './object.ts'
import type { IdCheck } from '../utils/tenant-id.ts'
import type { Tenants, TenantSource } from '../../types/index.ts'

/**
 * Returns the source for the option `tenants`.
 * @throws {FST_TENANT_OPTION_INVALID} when the option is invalid
 * @throws {FST_TENANT_HOSTS_INVALID} when a host of an object of tenants is invalid, or belongs to two tenants
 */
export function resolveSource (tenants: Tenants | readonly Tenants[], isId?: IdCheck): TenantSource {
  if (!isList(tenants)) return toSource(tenants, isId)
  if (tenants.length === 0) throw new FST_TENANT_OPTION_INVALID('tenants', 'at least one source of tenants')
  return combinedSource(tenants.map(member => toSource(member, isId)))
}

function toSource (tenants: Tenants, isId?: IdCheck): TenantSource {
  if (typeof tenants === 'string' || tenants instanceof URL) return directorySource(tenants, isId)
  if (typeof tenants !== 'object' || tenants === null || isList(tenants)) {
    throw new FST_TENANT_OPTION_INVALID('tenants', 'a folder, a tenant source, an object of tenants, or an array of these')
  }
  return isSource(tenants) ? tenants : objectSource(tenants, isId)
}

function isList (tenants: Tenants | readonly Tenants[]): tenants is readonly Tenants[] {
  return Array.isArray(tenants)
}

function isSource (tenants: object): tenants is TenantSource {
  return 'get' in tenants && typeof tenants.get === 'function' && 'list' in tenants && typeof tenants.list === 'function'
}
