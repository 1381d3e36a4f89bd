import { isDeepStrictEqual } from 'node:util'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import { SharedClasses } from './shared-classes.ts'
import { createQuietly } from '../fastify/create-quietly.ts'
import type { Internals } from '../fastify/internals.ts'
import type { Constructor, Hidden, RouteContext } from '../fastify/shapes.ts'
import type { Decorations, Names } from './shared-classes.ts'
import type { Tenant } from '../../types/index.ts'

const kTenant = Symbol('fastify-multitenant.tenant')
const kServer = Symbol('fastify-multitenant.server')
const kRequest = Symbol('fastify-multitenant.request')
const kReply = Symbol('fastify-multitenant.reply')
const kPrototype = Symbol('fastify-multitenant.prototype')

/** What a route of a tenant has in addition to what Fastify keeps of it. */
interface Tenanted {
  [kTenant]?: Tenant
  [kServer]?: FastifyInstance
  [kRequest]?: Decorations | undefined
  [kReply]?: Decorations | undefined
}

/** The Fastify instance that a route was made in, which `context.server` may only stand in for. */
export function instanceOf (context: RouteContext & Tenanted): FastifyInstance {
  return context[kServer] ?? context.server
}

/**
 * What Fastify makes and reads on each request, in the same shapes for all tenants. With a class and an instance for each tenant V8
 * could specialize no code for them: with 1,000 tenants in turn a request would take ten times as long.
 */
export class TenantRequests {
  readonly #internals: Internals
  readonly #requests: SharedClasses
  readonly #replies: SharedClasses
  readonly #standIn: FastifyInstance
  readonly #defaultLoggerFactory: unknown

  /**
   * To be made when the app is ready: what its requests and replies are decorated with is known.
   * @param common what the instances of tenants have unless they have set their own
   */
  constructor (app: FastifyInstance, internals: Internals, common: Pick<Hidden, 'genReqId' | 'logController'>) {
    const AppRequest = internals.get(app, 'Request')
    const AppReply = internals.get(app, 'Reply')
    this.#internals = internals
    this.#requests = new SharedClasses(AppRequest, names => requestClass(AppRequest, names, internals))
    this.#replies = new SharedClasses(AppReply, names => replyClass(AppReply, names, internals))
    this.#standIn = Object.create(app)
    internals.set(this.#standIn, 'genReqId', common.genReqId)
    internals.set(this.#standIn, 'logController', common.logController)
    this.#defaultLoggerFactory = internals.get(createQuietly(() => Fastify()), 'childLoggerFactory')
  }

  /** Makes a route of the tenant use the classes and the instance that it shares with others. */
  share (context: RouteContext, tenant: Tenant): void {
    const shared: RouteContext & Tenanted = context
    // A route with several methods has one context.
    if (shared[kTenant] !== undefined) return
    shared[kTenant] = tenant
    shared[kServer] = context.server
    shared[kRequest] = this.#requests.decorationsOf(context.Request)
    shared[kReply] = this.#replies.decorationsOf(context.Reply)
    shared.Request = this.#requests.classFor(shared[kRequest]?.names)
    shared.Reply = this.#replies.classFor(shared[kReply]?.names)
    // A factory of the user's is called with the instance.
    if (context.childLoggerFactory === this.#defaultLoggerFactory && this.#isAlike(context.server)) shared.server = this.#standIn
  }

  /** Whether what Fastify itself reads from a route's instance on each request is the same. All else gets the instance, by `request.server` and `reply.server`. */
  #isAlike (server: FastifyInstance): boolean {
    const has = <Name extends keyof Hidden> (name: Name): [Hidden[Name], Hidden[Name]] => [this.#internals.get(server, name), this.#internals.get(this.#standIn, name)]
    return isDeepStrictEqual(...has('methods')) && Object.is(...has('genReqId')) && Object.is(...has('logController')) &&
      server.hasConstraintStrategy('version') === this.#standIn.hasConstraintStrategy('version')
  }
}

function requestClass (AppRequest: Constructor, names: Names, internals: Internals): Constructor {
  const isDecorated = names.values.length + names.methods.length > 0
  class TenantRequest extends AppRequest {
    tenant: Tenant
    tenantId: string

    constructor (id: unknown, params: unknown, raw: unknown, query: unknown, log: unknown, context: Tenanted) {
      super(id, params, raw, query, log, context)
      this.tenant = context[kTenant] as Tenant
      this.tenantId = this.tenant.id
      if (isDecorated) decorate(this as never, context[kRequest] as Decorations)
    }

    /** After `reply.callNotFound()` a request is at another route, whose instance nothing stands in for. */
    get server (): FastifyInstance {
      return instanceOf(internals.contextOf(this as never))
    }
  }
  return withMethods(TenantRequest as unknown as Constructor, names)
}

function replyClass (AppReply: Constructor, names: Names, internals: Internals): Constructor {
  const isDecorated = names.values.length + names.methods.length > 0
  class TenantReply extends (AppReply as new (...parameters: unknown[]) => { request: { server: FastifyInstance } }) {
    constructor (rawReply: unknown, request: unknown, log: unknown) {
      super(rawReply, request, log)
      if (isDecorated) decorate(this as never, (internals.contextOf(request as never) as Tenanted)[kReply] as Decorations)
    }

    get server (): FastifyInstance {
      return this.request.server
    }
  }
  return withMethods(TenantReply as unknown as Constructor, names)
}

interface Decorated extends Record<PropertyKey, unknown> { [kPrototype]: object }

function decorate (instance: Decorated, { values, prototype }: Decorations): void {
  instance[kPrototype] = prototype
  for (const { key, value } of values) instance[key] = value
}

/** What was decorated with these names is found where the instance says. */
function withMethods (Class: Constructor, { methods }: Names): Constructor {
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
