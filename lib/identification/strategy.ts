import type { FastifyRequest } from 'fastify'
import type * as types from '../../types/index.ts'

/** The base class of identification strategies. Extend it, or implement the interface of the same name. */
export abstract class TenantIdentificationStrategy implements types.TenantIdentificationStrategy {
  /** Whether `extractTenantId` reads only the head of a request and never returns a promise. Default: `false`. */
  readonly readsHeadOnly?: boolean

  /** Returns the id that the request names, or nothing. An error refuses the request. */
  abstract extractTenantId (request: FastifyRequest, context: types.IdentificationContext): types.TenantAnswer | Promise<types.TenantAnswer>

  /** Returns the URL that routes see, for a strategy that reads the id from the URL. */
  tenantUrl? (request: FastifyRequest, id: string, context: types.IdentificationContext): string

  /** Called once before any request. An error ends the boot. */
  check? (context: types.IdentificationContext): void
}
