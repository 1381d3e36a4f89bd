import type { IncomingMessage } from 'node:http'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Internals } from './internals.ts'

/** Creates a request of the app that has not been routed: only its head can be read. */
export type UnroutedRequests = new (raw: IncomingMessage) => FastifyRequest

/**
 * Returns a class of requests with the getters and decorators of the app's requests. The properties that Fastify gives each request
 * are on the prototype, so a request costs one property. Call this when the app is ready.
 */
export function unroutedRequests (app: FastifyInstance, internals: Internals): UnroutedRequests {
  const AppRequest = internals.get(app, 'Request')
  class UnroutedRequest {
    readonly raw: IncomingMessage

    constructor (raw: IncomingMessage) {
      this.raw = raw
    }
  }
  // A request without arguments has `undefined` for what the router finds, and the initial values of decorators.
  const { raw, ...properties } = Object.getOwnPropertyDescriptors(new AppRequest() as { raw: unknown })
  Object.setPrototypeOf(UnroutedRequest.prototype, Object.create(AppRequest.prototype, properties))
  return UnroutedRequest as unknown as UnroutedRequests
}
