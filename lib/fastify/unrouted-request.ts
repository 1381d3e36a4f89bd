import type { IncomingMessage } from 'node:http'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Internals } from './internals.ts'

/** Returns a request of the app that has not been routed: only its head can be read. */
export function unroutedRequest (raw: IncomingMessage, app: FastifyInstance, internals: Internals): FastifyRequest {
  return new (internals.get(app, 'Request'))(undefined, undefined, raw) as FastifyRequest
}
