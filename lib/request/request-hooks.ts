import type { FastifyReply, FastifyRequest } from 'fastify'
import { FST_TENANT_IDENTIFICATION_FAILED, FST_TENANT_REQUIRED } from '../errors.ts'
import { endExemption, exemptPreflight, isExempt } from '../identification/preflight.ts'
import { isPromiseLike } from '../utils/is-promise-like.ts'
import { isRefusal } from './is-refusal.ts'
import { NamedTenant } from './named-tenant.ts'
import { earlyTenantId } from './early-tenant-id.ts'
import { Precedence } from './precedence.ts'
import { holdUntilClose, leaseOf } from '../leases/response-lease.ts'
import { retryAfter } from '../utils/retry-after.ts'
import type { Identification } from '../identification/identification.ts'
import type { TenantIdentificationStrategy } from '../identification/strategy.ts'
import type { ResolvedOptions } from '../options.ts'
import type { Preceding } from './precedence.ts'
import type { ParentApp } from '../app/parent-app.ts'
import type { RouteMatch } from '../fastify/shapes.ts'
import type { Generation } from '../tenants/generation.ts'
import type { Lease } from '../leases/lease.ts'
import type { TenantRegistry } from '../tenants/registry.ts'

type Done = (error?: Error) => void

/** The two onRequest hooks of the plugin: one finds the tenant of a request, the other refuses where none could be found. */
export class RequestHooks {
  readonly #identification: Identification
  readonly #options: ResolvedOptions
  readonly #registry: TenantRegistry
  readonly #host: ParentApp
  readonly #names: NamedTenant
  readonly #precedence: Precedence
  readonly #refusals = new WeakMap<FastifyRequest, Error>()

  constructor (options: ResolvedOptions, identification: Identification, registry: TenantRegistry, host: ParentApp) {
    this.#identification = identification
    this.#options = options
    this.#registry = registry
    this.#host = host
    this.#names = new NamedTenant(identification, registry, options.isId)
    this.#precedence = new Precedence({ identification, names: this.#names, registry, host })
  }

  /** Identifies the tenant, and hands the request over to its scope when a route there is to answer. */
  readonly identify = (request: FastifyRequest, reply: FastifyReply, done: Done): void => {
    const { tenant: rule, identify: own } = this.#host.configOf(request)
    if (rule === 'ignore') return this.#goOn(request, reply, done)
    // The one that is asked now also says what the URL is, should another take its place meanwhile.
    const strategy = this.#identification.strategyFor(own)
    if (own !== undefined && this.#host.choice.mayBePreceded(request)) return this.#lookBefore(strategy, request, reply, done)
    const noted = own === undefined ? earlyTenantId(request.raw) : undefined
    if (noted !== undefined) return this.#find(noted, strategy, request, reply, done)
    this.#ask(strategy, request, reply, done)
  }

  #ask (strategy: TenantIdentificationStrategy, request: FastifyRequest, reply: FastifyReply, done: Done): void {
    let id
    try {
      id = this.#names.idBy(strategy, request)
    } catch (error) {
      return this.#fail(error, request, reply, done)
    }
    if (!isPromiseLike(id)) return this.#find(id, strategy, request, reply, done)
    id.then(
      id => this.#find(id, strategy, request, reply, done),
      error => this.#fail(error, request, reply, done)).then(undefined, done)
  }

  /** Goes on with a request that was identified when it had another URL. */
  readonly resume = (request: FastifyRequest, reply: FastifyReply, done: Done): void => {
    this.#show((leaseOf(reply.raw) as Lease<Generation>).generation, request, reply, done)
  }

  /** Throws what `identify` noted: by then the hooks that the app registered before the plugin have run. */
  readonly refuse = (request: FastifyRequest, _reply: FastifyReply, done: Done): void => {
    done(this.#refusals.get(request))
  }

  /** A route that says itself what names its tenant comes after the more exact routes of the tenant that the app's identification names. */
  #lookBefore (own: TenantIdentificationStrategy, request: FastifyRequest, reply: FastifyReply, done: Done): void {
    const appWide = this.#identification.strategyFor(undefined)
    const askOwn = (): void => {
      endExemption(request)
      this.#ask(own, request, reply, done)
    }
    const find = async (id: string): Promise<void> => this.#precedence.find(id, appWide, request, reply.raw).then(
      found => found === null ? askOwn() : this.#precede(found, request, reply),
      error => this.#refuse(error, request, reply, done))
    this.#precedence.namedBy(appWide, request).then(
      id => id === null ? askOwn() : find(id),
      error => this.#fail(error, request, reply, done)).then(undefined, done)
  }

  #precede ({ lease, route }: Preceding, request: FastifyRequest, reply: FastifyReply): void {
    if (!holdUntilClose(lease, reply.raw)) return this.#host.logIncoming(request, reply)
    this.#host.handOver(request, reply, route, lease.generation.id)
  }

  #find (named: string | null, strategy: TenantIdentificationStrategy, request: FastifyRequest, reply: FastifyReply, done: Done): void {
    const id = named ?? this.#options.defaultTenant
    if (id === undefined) return this.#without(request, reply, done)

    const lease = this.#registry.claim(id, reply.raw)
    if (!isPromiseLike(lease)) return this.#enter(lease, strategy, request, reply, done)
    lease.then(
      lease => this.#enter(lease, strategy, request, reply, done),
      error => this.#refuseTenant(id, error, request, reply, done)).then(undefined, done)
  }

  #without (request: FastifyRequest, reply: FastifyReply, done: Done): void {
    const rule = this.#host.configOf(request).tenant ?? (this.#options.required ? 'required' : 'optional')
    if (rule === 'required' && !exemptPreflight(request)) return this.#refuse(new FST_TENANT_REQUIRED(), request, reply, done)
    this.#goOn(request, reply, done)
  }

  #enter (lease: Lease<Generation>, strategy: TenantIdentificationStrategy, request: FastifyRequest, reply: FastifyReply, done: Done): void {
    // The client left while the tenant was loaded: nobody is there to be answered, and nothing has run yet.
    if (!holdUntilClose(lease, reply.raw)) return this.#host.logIncoming(request, reply)
    const { generation } = lease
    const route = this.#host.choice.routeFor(generation.scope, request, this.#identification.url(strategy, request, generation.id))
    if (!isPromiseLike(route)) return this.#answer(route, generation, request, reply, done)
    route.then(route => this.#answer(route, generation, request, reply, done), done)
  }

  #answer (route: RouteMatch | null, generation: Generation, request: FastifyRequest, reply: FastifyReply, done: Done): void {
    const { offers } = this.#host
    const { server } = generation.scope
    if (!offers.concern(server, request)) return this.#enterRoute(route, generation, request, reply, done)
    offers.make({
      server,
      route,
      request,
      reply,
      onKept: () => this.#show(generation, request, reply, () => {}),
      goOn: error => error === undefined ? this.#enterRoute(route, generation, request, reply, done) : done(error as Error)
    })
  }

  #enterRoute (route: RouteMatch | null, generation: Generation, request: FastifyRequest, reply: FastifyReply, done: Done): void {
    if (route !== null) return this.#host.handOver(request, reply, route, generation.id)
    this.#show(generation, request, reply, done)
  }

  /** The app's own route answers, for this tenant. */
  #show (generation: Generation, request: FastifyRequest, reply: FastifyReply, done: Done): void {
    // Reached by the path strategy: the rule is that of the route behind the tenant's part of the URL.
    if (this.#host.configOf(request).tenant === 'ignore') return this.#goOn(request, reply, done)
    request.tenant = generation.tenant
    this.#name(generation.id, request, reply)
    this.#goOn(request, reply, done)
  }

  #name (id: string, request: FastifyRequest, reply: FastifyReply): void {
    request.tenantId = id
    request.log = reply.log = request.log.child({ tenantId: id })
  }

  /** Error handlers and log lines are to know whose request was refused. `request.tenant` stays `null`: no tenant takes it. */
  #refuseTenant (id: string, error: Error, request: FastifyRequest, reply: FastifyReply, done: Done): void {
    this.#name(id, request, reply)
    this.#refuse(error, request, reply, done)
  }

  /** An error that is no refusal is a failure of the strategy, which the app's own error handler may keep to itself. */
  #fail (cause: unknown, request: FastifyRequest, reply: FastifyReply, done: Done): void {
    if (isRefusal(cause)) return this.#refuse(cause, request, reply, done)
    request.log.error({ err: cause }, 'identification strategy failed')
    this.#refuse(retryAfter(new FST_TENANT_IDENTIFICATION_FAILED({ cause }), 1), request, reply, done)
  }

  /** With `order: 'first'` the hooks that the app registered before the plugin run first. */
  #refuse (error: Error, request: FastifyRequest, reply: FastifyReply, done: Done): void {
    if (this.#options.order === 'registered') return done(error)
    this.#refusals.set(request, error)
    this.#goOn(request, reply, done)
  }

  /** The request stays with the app. */
  #goOn (request: FastifyRequest, reply: FastifyReply, done: Done): void {
    if (isExempt(request)) this.#host.preflights.bar(request)
    this.#host.logIncoming(request, reply)
    done()
  }
}
