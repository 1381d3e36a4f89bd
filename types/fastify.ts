import type { Identify } from './identification.ts'
import type { TenantRule } from './options.ts'
import type { Tenant, TenantManager } from './tenants.ts'

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
    /**
     * For routes of the app: with `false` no tenant's route answers what the app finds this route for. With `true` nothing is logged
     * when one does that leaves hooks of this route behind.
     */
    override?: boolean
    /** What names the tenant of the requests of this route, instead of the plugin's `identify`. For routes of the app, which answer for themselves then: no tenant's route takes the place of one unless its URL is more exact and the plugin's `identify` names the tenant. They have no other URL: `/acme/hook` is not `/hook`. */
    identify?: Identify | readonly Identify[]
  }
}
