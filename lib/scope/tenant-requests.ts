import type { Constructor, RouteContext } from './internals.ts'
import type { Tenant } from '../tenants/tenant.ts'

const kTenant = Symbol('fastify-multitenant.tenant')

interface Tenanted { [kTenant]?: Tenant }

/**
 * One class for the requests of all tenants that decorate none, as Fastify has one for all plugins that decorate none. With a class
 * for each tenant V8 could specialize no code for them: with 1,000 tenants in turn a request would take ten times as long.
 */
export class TenantRequests {
  readonly #AppRequest: Constructor
  readonly #Shared: Constructor

  /** @param AppRequest the class of the app's requests */
  constructor (AppRequest: Constructor) {
    this.#AppRequest = AppRequest
    this.#Shared = sharedClass(AppRequest)
  }

  /** Makes a route use the one class, if `Own` is the class that it uses and adds nothing to the app's but the tenant. */
  share (context: RouteContext, Own: Constructor, tenant: Tenant): void {
    if (context.Request !== Own || Own.props.length > this.#AppRequest.props.length || Reflect.ownKeys(Own.prototype).length > 1) return
    context.Request = this.#Shared;
    (context as Tenanted)[kTenant] = tenant
  }
}

function sharedClass (AppRequest: Constructor): Constructor {
  class TenantRequest extends AppRequest {
    tenant: Tenant
    tenantId: string

    constructor (id: unknown, params: unknown, raw: unknown, query: unknown, log: unknown, context: Tenanted) {
      super(id, params, raw, query, log, context)
      this.tenant = context[kTenant] as Tenant
      this.tenantId = this.tenant.id
    }
  }
  return TenantRequest as unknown as Constructor
}
