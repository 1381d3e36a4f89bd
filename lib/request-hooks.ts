import type { FastifyReply, FastifyRequest } from 'fastify'
import { FST_TENANT_IDENTIFICATION_FAILED, FST_TENANT_REQUIRED } from './errors.ts'
import { checkTenantId } from './identification/tenant-id.ts'
import { holdUntilClose, leaseOf } from './tenants/lease.ts'
import type { TenantIdentificationStrategy } from './identification/strategy.ts'
import type { ResolvedOptions } from './options.ts'
import type { HostApp } from './scope/host-app.ts'
import type { RouteMatch } from './scope/internals.ts'
import type { Generation } from './tenants/generation.ts'
import type { TenantRegistry } from './tenants/registry.ts'

type Done = (error?: Error) => void

/** The two onRequest hooks of the plugin: one finds the tenant of a request, the other refuses where none could be found. */
export class RequestHooks {
  /** Names the tenant of each request. May be replaced at any time. */
  strategy: TenantIdentificationStrategy
  readonly #options: ResolvedOptions
  readonly #registry: TenantRegistry
  readonly #host: HostApp
  readonly #refusals = new WeakMap<FastifyRequest, Error>()

  constructor (options: ResolvedOptions, registry: TenantRegistry, host: HostApp) {
    this.strategy = options.strategy
    this.#options = options
    this.#registry = registry
    this.#host = host
  }

  /** Identifies the tenant, and hands the request over to its scope when a route there is to answer. */
  readonly identify = (request: FastifyRequest, reply: FastifyReply, done: Done): void => {
    if (this.#host.ruleOf(request) === 'ignore') return done()
    let id
    try {
      const answer = this.strategy.extractTenantId(request)
      id = isPromise(answer) ? answer.then(checkTenantId) : checkTenantId(answer)
    } catch (error) {
      return this.#refuse(identificationError(error), request, done)
    }
    if (!isPromise(id)) return this.#find(id, request, reply, done)
    id.then(
      id => this.#find(id, request, reply, done),
      error => this.#refuse(identificationError(error), request, done)).catch(done)
  }

  /** Goes on with a request that was identified when it had another URL. */
  readonly resume = (request: FastifyRequest, reply: FastifyReply, done: Done): void => {
    this.#show(leaseOf(reply.raw) as Generation, request, reply, done)
  }

  /** Throws what `identify` noted: by then the hooks that the app registered before the plugin have run. */
  readonly refuse = (request: FastifyRequest, _reply: FastifyReply, done: Done): void => {
    done(this.#refusals.get(request))
  }

  #find (named: string | null, request: FastifyRequest, reply: FastifyReply, done: Done): void {
    const id = named ?? this.#options.defaultTenant
    if (id === undefined) return this.#without(request, done)

    const generation = this.#registry.claim(id, reply.raw)
    if (!isPromise(generation)) return this.#enter(generation, request, reply, done)
    generation.then(
      generation => this.#enter(generation, request, reply, done),
      error => this.#refuse(error, request, done)).catch(done)
  }

  #without (request: FastifyRequest, done: Done): void {
    const rule = this.#host.ruleOf(request) ?? (this.#options.required ? 'required' : 'optional')
    if (rule === 'required' && !isPreflight(request)) return this.#refuse(new FST_TENANT_REQUIRED(), request, done)
    done()
  }

  #enter (generation: Generation, request: FastifyRequest, reply: FastifyReply, done: Done): void {
    // The client left while the tenant was loaded: nobody is there to be answered, and nothing has run yet.
    if (!holdUntilClose(generation, reply.raw)) return
    const route = this.#host.routeFor(generation.scope, request, this.strategy.tenantUrl?.(request, generation.id))
    if (!isPromise(route)) return this.#answer(route, generation, request, reply, done)
    route.then(route => this.#answer(route, generation, request, reply, done), done)
  }

  #answer (route: RouteMatch | null, generation: Generation, request: FastifyRequest, reply: FastifyReply, done: Done): void {
    if (route !== null) return this.#host.handOver(request, reply, route)
    this.#show(generation, request, reply, done)
  }

  /** The app's own route answers, for this tenant. */
  #show (generation: Generation, request: FastifyRequest, reply: FastifyReply, done: Done): void {
    request.tenant = generation.tenant
    request.tenantId = generation.id
    request.log = reply.log = request.log.child({ tenantId: generation.id })
    done()
  }

  /** With `order: 'first'` the hooks that the app registered before the plugin run first. */
  #refuse (error: Error, request: FastifyRequest, done: Done): void {
    if (this.#options.order === 'registered') return done(error)
    this.#refusals.set(request, error)
    done()
  }
}

/** An error with a 4xx of its own says what is wrong with the request; anything else is a failure. */
function identificationError (error: unknown): Error {
  const { statusCode } = error as { statusCode?: unknown }
  if (typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500) return error as Error
  return new FST_TENANT_IDENTIFICATION_FAILED({ cause: error })
}

/** A CORS preflight can carry no header that names a tenant. */
function isPreflight ({ method, headers }: FastifyRequest): boolean {
  return method === 'OPTIONS' && headers.origin !== undefined && headers['access-control-request-method'] !== undefined
}

function isPromise<Value> (value: Value | Promise<Value>): value is Promise<Value> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function'
}
