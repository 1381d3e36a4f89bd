import type { Tenant } from '../lib/tenants/tenant.ts'
import type { TenantManager } from '../lib/tenants/manager.ts'
import type { Identify } from './identification.ts'
import type { TenantRule } from './options.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** The tenants of this app. */
    multitenant: TenantManager
  }

  interface FastifyRequest {
    /** The tenant that the request belongs to; `null` when it belongs to none. */
    tenant: Tenant | null
    /** The id of `tenant`; of a request that is refused, the id that it names, which nobody else may know. `null` when there is none. */
    tenantId: string | null
  }

  interface FastifyContextConfig {
    /** How this route stands to tenants; wins over the plugin's `required`. */
    tenant?: TenantRule
    /** What names the tenant of the requests of this route, instead of the plugin's `identify`. For routes of the app, which have no other URL then: `/acme/hook` is not `/hook`. */
    identify?: Identify | readonly Identify[]
  }
}
