import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import { unannounced } from './unannounced.ts'
import type { Constructor, Internals, RouteContext } from './internals.ts'
import type { Tenant } from '../tenants/tenant.ts'

const kTenant = Symbol('fastify-multitenant.tenant')
const kServer = Symbol('fastify-multitenant.server')

interface Tenanted { [kTenant]?: Tenant, [kServer]?: FastifyInstance }

/** The Fastify instance that a route was made in, which `context.server` may only stand in for. */
export function instanceOf (context: RouteContext & Tenanted): FastifyInstance {
  return context[kServer] ?? context.server
}

/**
 * What Fastify makes and reads on each request, in the same shapes for all tenants. With a class and an instance for each tenant V8
 * could specialize no code for them: with 1,000 tenants in turn a request would take ten times as long.
 */
export class TenantRequests {
  readonly #app: FastifyInstance
  readonly #internals: Internals
  readonly #AppRequest: Constructor
  readonly #AppReply: Constructor
  readonly #Request: Constructor
  readonly #Reply: Constructor
  readonly #defaultLoggerFactory: unknown

  /** To be made when the app is ready: what its requests and replies are decorated with is known. */
  constructor (app: FastifyInstance, internals: Internals) {
    this.#app = app
    this.#internals = internals
    this.#AppRequest = internals.get(app, 'Request')
    this.#AppReply = internals.get(app, 'Reply')
    this.#Request = requestClass(this.#AppRequest, internals)
    this.#Reply = replyClass(this.#AppReply)
    this.#defaultLoggerFactory = internals.get(unannounced(() => Fastify()), 'childLoggerFactory')
  }

  /** Makes a route of the tenant use the one class for requests and the one for replies, where its own add nothing to the app's. */
  share (context: RouteContext, tenant: Tenant): void {
    if (!addsNothing(context.Request, this.#AppRequest)) return
    const shared: RouteContext & Tenanted = context
    shared.Request = this.#Request
    shared[kTenant] = tenant
    shared[kServer] = context.server
    if (!addsNothing(context.Reply, this.#AppReply)) return
    // A factory of the user's is called with the instance.
    if (context.childLoggerFactory !== this.#defaultLoggerFactory) return
    shared.Reply = this.#Reply
    shared.server = this.#standIn(context.server)
  }

  /** What Fastify itself reads from a route's instance on each request. All else gets the instance, by `request.server` and `reply.server`. */
  #standIn (server: FastifyInstance): FastifyInstance {
    const standIn: FastifyInstance = Object.create(this.#app)
    for (const name of ['genReqId', 'logController', 'methods'] as const) this.#internals.set(standIn, name, this.#internals.get(server, name))
    standIn.hasConstraintStrategy = server.hasConstraintStrategy
    return standIn
  }
}

function requestClass (AppRequest: Constructor, internals: Internals): Constructor {
  class TenantRequest extends AppRequest {
    tenant: Tenant
    tenantId: string

    constructor (id: unknown, params: unknown, raw: unknown, query: unknown, log: unknown, context: Tenanted) {
      super(id, params, raw, query, log, context)
      this.tenant = context[kTenant] as Tenant
      this.tenantId = this.tenant.id
    }

    /** After `reply.callNotFound()` a request is at another route, whose instance nothing stands in for. */
    get server (): FastifyInstance {
      return instanceOf(internals.contextOf(this as never))
    }
  }
  return TenantRequest as unknown as Constructor
}

function replyClass (AppReply: Constructor): Constructor {
  class TenantReply extends (AppReply as new (...parameters: unknown[]) => { request: { server: FastifyInstance } }) {
    get server (): FastifyInstance {
      return this.request.server
    }
  }
  return TenantReply as unknown as Constructor
}

/** Whether neither a class nor those between it and `Base` add a property, a method or an accessor. */
function addsNothing (Class: Constructor, Base: Constructor): boolean {
  // Fastify passes over classes that nothing was decorated on: this one may be the base of the app's.
  if (Object.prototype.isPrototypeOf.call(Class.prototype, Base.prototype)) return true
  if (Class.props.length > Base.props.length) return false
  for (let prototype = Class.prototype; prototype !== Base.prototype; prototype = Object.getPrototypeOf(prototype)) {
    if (Reflect.ownKeys(prototype).length > 1) return false
  }
  return true
}
