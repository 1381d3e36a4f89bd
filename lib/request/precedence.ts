import type { FastifyRequest } from 'fastify'
import { FST_TENANT_NOT_FOUND, FST_TENANT_SUSPENDED } from '../errors.ts'
import { isRefusal } from './is-refusal.ts'
import { earlyTenantId } from './early-tenant-id.ts'
import type { Identification } from '../identification/identification.ts'
import type { TenantIdentificationStrategy } from '../identification/strategy.ts'
import type { NamedTenant } from './named-tenant.ts'
import type { RouteChoice } from '../app/route-choice.ts'
import type { Generation } from '../tenants/generation.ts'
import type { RouteMatch } from '../fastify/shapes.ts'
import type { Holder, Lease } from '../leases/lease.ts'
import type { TenantRegistry } from '../tenants/registry.ts'

/** A tenant's route that comes first, and the lease of that tenant. */
export interface Preceding { lease: Lease<Generation>, route: RouteMatch }

/** The objects that `Precedence` works with. */
export interface PrecedenceContext {
  identification: Identification
  names: NamedTenant
  registry: TenantRegistry
  choice: RouteChoice
}

/** Finds the tenant's route that comes before an app route with its own strategy: a more exact route of the tenant that the app's identification names. */
export class Precedence {
  readonly #context: PrecedenceContext

  constructor (context: PrecedenceContext) {
    this.#context = context
  }

  /** Returns the id that the app's identification finds. A refusal counts as no id: the route's own strategy may still find one. Throws whatever else the strategy throws. */
  async namedBy (appWide: TenantIdentificationStrategy, request: FastifyRequest): Promise<string | null> {
    try {
      return earlyTenantId(request.raw) ?? await this.#context.names.idBy(appWide, request)
    } catch (error) {
      if (isRefusal(error)) return null
      throw error
    }
  }

  /**
   * Returns `null` if the app's route answers, also if the tenant is unknown or suspended.
   * @throws {FST_TENANT_LOAD_FAILED}
   * @throws {FST_TENANT_LOAD_TIMEOUT}
   * @throws {FST_TENANT_BUSY}
   * @throws {FST_TENANT_OVERLOADED}
   * @throws {FST_TENANT_CLOSED}
   */
  async find (id: string, appWide: TenantIdentificationStrategy, request: FastifyRequest, holder: Holder): Promise<Preceding | null> {
    const lease = await this.#claim(id, holder)
    if (lease === null) return null
    const route = await this.#routeIn(lease, appWide, request)
    if (route !== null) return { lease, route }
    lease.release()
    return null
  }

  async #claim (id: string, holder: Holder): Promise<Lease<Generation> | null> {
    try {
      return await this.#context.registry.claim(id, holder)
    } catch (error) {
      if (error instanceof FST_TENANT_NOT_FOUND || error instanceof FST_TENANT_SUSPENDED) return null
      throw error
    }
  }

  async #routeIn (lease: Lease<Generation>, appWide: TenantIdentificationStrategy, request: FastifyRequest): Promise<RouteMatch | null> {
    try {
      const { id, routes } = lease.generation
      const { identification, choice } = this.#context
      return await choice.precedingRouteFor(routes, request, identification.url(appWide, request, id))
    } catch (error) {
      lease.release()
      throw error
    }
  }
}
