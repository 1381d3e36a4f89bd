import type { IncomingMessage } from 'node:http'
import type { FastifyBaseLogger } from 'fastify'
import { requestTenantOf } from '../leases/request-tenant.ts'
import type { RouteContext } from '../fastify/shapes.ts'

type LoggerFactory = (this: unknown, log: FastifyBaseLogger, bindings: object, options: object, raw: IncomingMessage) => FastifyBaseLogger

/** Puts the id of the request's tenant on the log lines of a route that several tenants share. */
export function logTenant (context: RouteContext): void {
  const create = context.childLoggerFactory as LoggerFactory
  context.childLoggerFactory = function (this: unknown, log: FastifyBaseLogger, bindings: object, options: object, raw: IncomingMessage) {
    return create.call(this, log, { ...bindings, tenantId: requestTenantOf(raw)?.id }, options, raw)
  }
}
