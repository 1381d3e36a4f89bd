import type { IncomingMessage } from 'node:http'
import type { FastifyInstance } from 'fastify'
import { createDefaultFastify } from '../fastify/create-quietly.ts'
import { handlesRequestsAlike } from '../fastify/instance.ts'
import { requestTenantOf } from '../leases/request-tenant.ts'
import { SharedClasses } from './shared-classes.ts'
import type { DecoratorNames, Decorators } from '../fastify/decorators.ts'
import type { Internals } from '../fastify/internals.ts'
import type { Constructor, Hidden, RouteContext } from '../fastify/shapes.ts'
import type { Tenant } from '../../types/index.ts'

const kTenant = Symbol('fastify-multitenant.tenant')
const kServer = Symbol('fastify-multitenant.server')
const kRequest = Symbol('fastify-multitenant.request')
const kReply = Symbol('fastify-multitenant.reply')
const kPrototype = Symbol('fastify-multitenant.prototype')

/** The properties that this package adds to the context of a tenant's route. */
interface Tenanted {
  [kTenant]?: Tenant | undefined
  [kServer]?: FastifyInstance
  [kRequest]?: Decorators | undefined
  [kReply]?: Decorators | undefined
}

/** Returns the Fastify instance in which a route was added. `context.server` may be the instance that all tenants share. */
export function instanceOf (context: RouteContext & Tenanted): FastifyInstance {
  return context[kServer] ?? context.server
}

/**
 * Lets all tenants share the objects that Fastify creates and reads on each request: the classes of requests and replies, and one
 * instance that stands in for that of the tenant. V8 cannot optimize code that sees a class and an instance for each tenant: with 1,000
 * tenants in turn, a request would take ten times as long.
 */
export class TenantRequests {
  readonly #internals: Internals
  readonly #requests: SharedClasses
  readonly #replies: SharedClasses
  readonly #sharedInstance: FastifyInstance
  readonly #defaultLoggerFactory: unknown

  /**
   * Call this when the app is ready, because plugins can decorate requests and replies until then.
   * @param common the values that tenants' instances have unless they set their own
   */
  constructor (app: FastifyInstance, internals: Internals, common: Pick<Hidden, 'genReqId' | 'logController'>) {
    const AppRequest = internals.get(app, 'Request')
    const AppReply = internals.get(app, 'Reply')
    this.#internals = internals
    this.#requests = new SharedClasses(AppRequest, names => createRequestClass(AppRequest, names, internals))
    this.#replies = new SharedClasses(AppReply, names => createReplyClass(AppReply, names, internals))
    this.#sharedInstance = Object.create(app)
    internals.set(this.#sharedInstance, 'genReqId', common.genReqId)
    internals.set(this.#sharedInstance, 'logController', common.logController)
    this.#defaultLoggerFactory = internals.get(createDefaultFastify(), 'childLoggerFactory')
  }

  /**
   * Makes a route use the shared classes and, where nothing differs, the shared instance.
   * @param tenant the tenant of all requests; `undefined` if several tenants share the route
   */
  share (context: RouteContext, tenant: Tenant | undefined): void {
    const shared: RouteContext & Tenanted = context
    shared[kTenant] = tenant
    shared[kServer] = context.server
    shared[kRequest] = this.#requests.decoratorsOf(context.Request)
    shared[kReply] = this.#replies.decoratorsOf(context.Reply)
    shared.Request = this.#requests.classFor(shared[kRequest]?.names)
    shared.Reply = this.#replies.classFor(shared[kReply]?.names)
    if (this.#canShareInstance(context)) shared.server = this.#sharedInstance
  }

  /** Handlers and hooks still get the tenant's instance, through `request.server` and `reply.server`. */
  #canShareInstance ({ server, childLoggerFactory }: RouteContext): boolean {
    // Fastify calls a custom logger factory with the instance.
    return childLoggerFactory === this.#defaultLoggerFactory && handlesRequestsAlike(server, this.#sharedInstance, this.#internals)
  }
}

function createRequestClass (AppRequest: Constructor, names: DecoratorNames, internals: Internals): Constructor {
  const isDecorated = names.values.length + names.methods.length > 0
  class TenantRequest extends AppRequest {
    tenant: Tenant | null
    tenantId: string | null

    constructor (id: unknown, params: unknown, raw: IncomingMessage, query: unknown, log: unknown, context: Tenanted) {
      super(id, params, raw, query, log, context)
      const tenant = context[kTenant] ?? requestTenantOf(raw) ?? null
      this.tenant = tenant
      this.tenantId = tenant === null ? null : tenant.id
      if (isDecorated) decorate(this as never, context[kRequest] as Decorators)
    }

    /** Reads the current context: `reply.callNotFound()` moves the request to another one. */
    get server (): FastifyInstance {
      return instanceOf(internals.contextOf(this as never))
    }
  }
  return forwardMethods(TenantRequest as unknown as Constructor, names)
}

function createReplyClass (AppReply: Constructor, names: DecoratorNames, internals: Internals): Constructor {
  const isDecorated = names.values.length + names.methods.length > 0
  class TenantReply extends (AppReply as new (...parameters: unknown[]) => { request: { server: FastifyInstance } }) {
    constructor (rawReply: unknown, request: unknown, log: unknown) {
      super(rawReply, request, log)
      if (isDecorated) decorate(this as never, (internals.contextOf(request as never) as Tenanted)[kReply] as Decorators)
    }

    get server (): FastifyInstance {
      return this.request.server
    }
  }
  return forwardMethods(TenantReply as unknown as Constructor, names)
}

interface Decorated extends Record<PropertyKey, unknown> { [kPrototype]: object }

function decorate (instance: Decorated, { values, prototype }: Decorators): void {
  instance[kPrototype] = prototype
  for (const { key, value } of values) instance[key] = value
}

/** Forwards decorated functions and accessors to the prototype that is stored on each request or reply. */
function forwardMethods (Class: Constructor, { methods }: DecoratorNames): Constructor {
  for (const name of methods) {
    Object.defineProperty(Class.prototype, name, {
      get (this: Decorated) { return Reflect.get(this[kPrototype], name, this) },
      set (this: Decorated, value: unknown) {
        if (!Reflect.set(this[kPrototype], name, value, this)) throw new TypeError(`Cannot set property ${String(name)}, which has only a getter`)
      }
    })
  }
  return Class
}
