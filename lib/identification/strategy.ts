import type { FastifyRequest } from 'fastify'
import type { IdentificationContext, TenantAnswer } from '../../types/index.ts'

/** Names the tenant of a request: the part of identification that a user may replace. */
export abstract class TenantIdentificationStrategy {
  /**
   * Whether `extractTenantId` reads nothing of a request but its head (`raw`, `headers`, `host`, `ip` and what comes of these) and
   * never answers with a promise. It is asked before the request is routed then, which saves time. Default: `false`.
   */
  readonly readsHeadOnly?: boolean

  /** Answers with the id that the request names, or with nothing. What it throws refuses the request. */
  abstract extractTenantId (request: FastifyRequest, context: IdentificationContext): TenantAnswer | Promise<TenantAnswer>

  /**
   * The URL that routes see, for a strategy that reads the id from the URL. Asked after the tenant was found;
   * answers with the URL as it is when it does not name this tenant.
   */
  tenantUrl? (request: FastifyRequest, id: string, context: IdentificationContext): string

  /** Called once the app has all its plugins, before any request. What it throws ends the boot: the app lacks what the strategy needs. */
  check? (context: IdentificationContext): void
}
