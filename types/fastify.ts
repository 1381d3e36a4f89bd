import type { Identify } from './identification.ts'
import type { TenantRule } from './options.ts'
import type { Tenant, TenantManager } from './tenants.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** The tenants of this app. */
    multitenant: TenantManager
  }

  interface FastifyRequest {
    /** The tenant that the request belongs to. `null` if it belongs to no tenant. */
    tenant: Tenant | null
    /**
     * The id of `tenant`. A refused request has the id that it named, and no tenant of that id need exist. `null` if the request
     * names no tenant.
     */
    tenantId: string | null
  }

  interface FastifyContextConfig {
    /** Whether this route needs a tenant. Wins over the plugin's `required`. Default: `'required'` if the plugin option `required` is `true`, else `'optional'`. */
    tenant?: TenantRule
    /**
     * Whether a tenant's route may answer a request that matches this route of the app. `false`: never. `true`: it may, and no
     * warning is logged when hooks of this route are skipped for it. Default: it may, with the warning.
     */
    override?: boolean
    /**
     * How requests of this route of the app name their tenant. Replaces the plugin's `identify` for them.
     * The route answers its requests itself: a tenant's route takes its place only if its URL is more exact and the plugin's
     * `identify` names the tenant. The route has no other URL: `/acme/hook` does not reach `/hook`. Default: the plugin's `identify`.
     */
    identify?: Identify | readonly Identify[]
  }
}
