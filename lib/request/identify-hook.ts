import type { FastifyReply, FastifyRequest } from 'fastify'
import { FST_TENANT_REQUIRED } from '../errors.ts'
import { endExemption, exemptPreflight } from '../identification/preflight.ts'
import { holdUntilClose } from '../leases/response-lease.ts'
import { debug } from '../utils/debug.ts'
import { isPromiseLike } from '../utils/is-promise-like.ts'
import { injectedTenantId } from '../scope/tenant-app.ts'
import { earlyTenantId } from './early-tenant-id.ts'
import { Precedence } from './precedence.ts'
import type { AppAnswer, Done } from './app-answer.ts'
import type { NamedTenant } from './named-tenant.ts'
import type { Preceding } from './precedence.ts'
import type { RefusalHook } from './refusal-hook.ts'
import type { ParentApp } from '../app/parent-app.ts'
import type { RouteChoice } from '../app/route-choice.ts'
import type { RouteMatch } from '../fastify/shapes.ts'
import type { Identification } from '../identification/identification.ts'
import type { TenantIdentificationStrategy } from '../identification/strategy.ts'
import type { Lease } from '../leases/lease.ts'
import type { ResolvedOptions } from '../options.ts'
import type { Scope } from '../scope/scope.ts'
import type { Generation } from '../tenants/generation.ts'
import type { TenantRegistry } from '../tenants/registry.ts'

/** The objects that the identify hook works with. */
export interface IdentifyHookContext {
  options: ResolvedOptions
  identification: Identification
  names: NamedTenant
  registry: TenantRegistry
  parent: ParentApp
  choice: RouteChoice
  appAnswer: AppAnswer
  refusals: RefusalHook
}

/** Finds the tenant of a request, takes a lease of it, and hands the request over if the tenant has a route for it. */
export class IdentifyHook {
  readonly #context: IdentifyHookContext
  readonly #precedence: Precedence

  constructor (context: IdentifyHookContext) {
    this.#context = context
    this.#precedence = new Precedence(context)
  }

  /** The onRequest hook. */
  readonly run = (request: FastifyRequest, reply: FastifyReply, done: Done): void => {
    const { parent, choice, identification, appAnswer } = this.#context
    const { tenant: rule, identify: own } = parent.configOf(request)
    if (rule === 'ignore') return appAnswer.goOn(request, reply, done)
    // Keep this strategy for `tenantUrl()`, even if `setIdentificationStrategy()` replaces it while the tenant loads.
    const strategy = identification.strategyFor(own)
    const injected = injectedTenantId(request.raw)
    if (injected !== undefined) return this.#find(injected, strategy, request, reply, done)
    if (own !== undefined && choice.mayBePreceded(request)) return this.#findPreceding(strategy, request, reply, done)
    const early = own === undefined ? earlyTenantId(request.raw) : undefined
    if (early !== undefined) return this.#find(early, strategy, request, reply, done)
    this.#ask(strategy, request, reply, done)
  }

  #ask (strategy: TenantIdentificationStrategy, request: FastifyRequest, reply: FastifyReply, done: Done): void {
    const { names, refusals } = this.#context
    let id
    try {
      id = names.idBy(strategy, request)
    } catch (error) {
      return refusals.refuseFailed(error, request, reply, done)
    }
    if (!isPromiseLike(id)) return this.#find(id, strategy, request, reply, done)
    id.then(
      id => this.#find(id, strategy, request, reply, done),
      error => refusals.refuseFailed(error, request, reply, done)).then(undefined, done)
  }

  /** The app's route has its own strategy. A more exact route of the tenant comes before it, if the app's identification names that tenant. */
  #findPreceding (own: TenantIdentificationStrategy, request: FastifyRequest, reply: FastifyReply, done: Done): void {
    const { identification, refusals } = this.#context
    const appWide = identification.strategyFor(undefined)
    const askOwn = (): void => {
      endExemption(request)
      this.#ask(own, request, reply, done)
    }
    const find = async (id: string): Promise<void> => this.#precedence.find(id, appWide, request, reply.raw).then(
      found => found === null ? askOwn() : this.#enterPreceding(found, request, reply),
      error => refusals.refuse(error, request, reply, done))
    this.#precedence.namedBy(appWide, request).then(
      id => id === null ? askOwn() : find(id),
      error => refusals.refuseFailed(error, request, reply, done)).then(undefined, done)
  }

  #enterPreceding ({ lease, route }: Preceding, request: FastifyRequest, reply: FastifyReply): void {
    const { parent } = this.#context
    if (!holdUntilClose(lease, reply.raw)) return parent.logIncoming(request, reply)
    parent.handOver(request, reply, route, lease.generation.id)
  }

  #find (named: string | null, strategy: TenantIdentificationStrategy, request: FastifyRequest, reply: FastifyReply, done: Done): void {
    const { options, registry, refusals } = this.#context
    const id = named ?? options.defaultTenant
    debug?.('request %s: identified as %s', request.id, id ?? 'nobody')
    if (id === undefined) return this.#goOnWithout(request, reply, done)
    const lease = registry.claim(id, reply.raw)
    if (!isPromiseLike(lease)) return this.#enter(lease, strategy, request, reply, done)
    lease.then(
      lease => this.#enter(lease, strategy, request, reply, done),
      error => refusals.refuseTenant(id, error, request, reply, done)).then(undefined, done)
  }

  #goOnWithout (request: FastifyRequest, reply: FastifyReply, done: Done): void {
    const { options, parent, appAnswer, refusals } = this.#context
    const rule = parent.configOf(request).tenant ?? (options.required ? 'required' : 'optional')
    if (rule === 'required' && !exemptPreflight(request)) return refusals.refuse(new FST_TENANT_REQUIRED(), request, reply, done)
    appAnswer.goOn(request, reply, done)
  }

  #enter (lease: Lease<Generation>, strategy: TenantIdentificationStrategy, request: FastifyRequest, reply: FastifyReply, done: Done): void {
    const { parent, choice, identification } = this.#context
    // The client left while the tenant was loaded. Nothing has run yet, and nobody waits for a reply.
    if (!holdUntilClose(lease, reply.raw)) return parent.logIncoming(request, reply)
    const { generation } = lease
    debug?.('request %s: leased %s, generation %d', request.id, generation.id, generation.number)
    const route = choice.routeFor(generation.routes, request, identification.url(strategy, request, generation.id))
    if (!isPromiseLike(route)) return this.#offer(route, generation, request, reply, done)
    route.then(route => this.#offer(route, generation, request, reply, done), done)
  }

  /** Listeners on the servers of the tenant and of its template come before routes. */
  #offer (route: RouteMatch | null, generation: Generation, request: FastifyRequest, reply: FastifyReply, done: Done, first = 0): void {
    const { offers } = this.#context.parent
    const { scopes } = generation.routes
    const at = scopes.findIndex(({ server }, at) => at >= first && offers.applyTo(server, request))
    if (at === -1) return this.#answer(route, generation, request, reply, done)
    const { server } = scopes[at] as Scope
    offers.make({
      server,
      route,
      request,
      reply,
      onKept: () => this.#context.appAnswer.forTenant(generation, request, reply, () => {}),
      goOn: error => error === undefined ? this.#offer(route, generation, request, reply, done, at + 1) : done(error as Error)
    })
  }

  #answer (route: RouteMatch | null, generation: Generation, request: FastifyRequest, reply: FastifyReply, done: Done): void {
    const { parent, appAnswer } = this.#context
    debug?.('request %s: %s', request.id, route === null ? "answered by the app's route" : `handed over to ${route.store?.config.url ?? 'the 404 handler'}`)
    if (route !== null) return parent.handOver(request, reply, route, generation.id)
    appAnswer.forTenant(generation, request, reply, done)
  }
}
