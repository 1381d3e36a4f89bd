import type { FastifyRequest } from 'fastify'
import { FST_TENANT_NOT_FOUND, FST_TENANT_SUSPENDED } from '../errors.ts'
import { isRefusal } from './is-refusal.ts'
import { earlyTenantId } from './early-tenant-id.ts'
import type { Identification } from '../identification/identification.ts'
import type { TenantIdentificationStrategy } from '../identification/strategy.ts'
import type { NamedTenant } from './named-tenant.ts'
import type { ParentApp } from '../app/parent-app.ts'
import type { Generation } from '../tenants/generation.ts'
import type { RouteMatch } from '../fastify/shapes.ts'
import type { Holder, Lease } from '../leases/lease.ts'
import type { TenantRegistry } from '../tenants/registry.ts'

/** The route that answers, and the lease of its tenant. */
export interface Preceding { lease: Lease<Generation>, route: RouteMatch }

/** What says who comes first. */
export interface PrecedenceContext {
  identification: Identification
  names: NamedTenant
  registry: TenantRegistry
  parent: ParentApp
}

/** Who comes before a route of the app that says itself what names its tenant: the more exact routes of the tenant that the app's own identification names. */
export class Precedence {
  readonly #context: PrecedenceContext

  constructor (context: PrecedenceContext) {
    this.#context = context
  }

  /** The id by the app's identification. Whoever is refused there is nobody here, and may still be somebody for the route itself. @throws what a strategy fails with */
  async namedBy (appWide: TenantIdentificationStrategy, request: FastifyRequest): Promise<string | null> {
    try {
      return earlyTenantId(request.raw) ?? await this.#context.names.idBy(appWide, request)
    } catch (error) {
      if (isRefusal(error)) return null
      throw error
    }
  }

  /**
   * `null` when the app's route answers: for a tenant that is unknown or suspended too, which has no route.
   * @throws FST_TENANT_LOAD_FAILED, FST_TENANT_LOAD_TIMEOUT, FST_TENANT_BUSY, FST_TENANT_OVERLOADED, FST_TENANT_CLOSED
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
      const { id, scope } = lease.generation
      const { identification, parent } = this.#context
      return await parent.choice.precedingRouteFor(scope, request, identification.url(appWide, request, id))
    } catch (error) {
      lease.release()
      throw error
    }
  }
}
