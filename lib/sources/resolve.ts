import { FST_TENANT_OPTION_INVALID } from '../errors.ts'
import { combinedSource } from './combined.ts'
import { directorySource } from './directory.ts'
import { objectSource } from './object.ts'
import type { IdCheck } from '../utils/tenant-id.ts'
import type { Tenants, TenantSource } from '../../types/index.ts'

/** The source that the option `tenants` stands for. Throws FST_TENANT_OPTION_INVALID when it is none of what it may be. */
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
