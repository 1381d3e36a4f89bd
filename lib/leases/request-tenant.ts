import type { IncomingMessage } from 'node:http'
import type { Tenant } from '../../types/index.ts'

const kTenant = Symbol('fastify-multitenant.request-tenant')

interface Tenanted { [kTenant]?: Tenant }

/** Stores the tenant of a request. Scopes that several tenants share read `request.tenant` from here, never from the route. */
export function setRequestTenant (raw: IncomingMessage, tenant: Tenant): void {
  (raw as Tenanted)[kTenant] = tenant
}

/** Returns the tenant of a request; `undefined` if no tenant has taken it. */
export function requestTenantOf (raw: IncomingMessage): Tenant | undefined {
  return (raw as Tenanted)[kTenant]
}
