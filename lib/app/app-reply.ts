import type { IncomingMessage } from 'node:http'
import type { FastifyReply } from 'fastify'

const kAppReply = Symbol('fastify-multitenant.outer')

interface Marked { [kAppReply]?: FastifyReply }

/** Notes on the raw request that the app has made `reply` for it already. */
export function setAppReply (raw: IncomingMessage, reply: FastifyReply): void {
  (raw as Marked)[kAppReply] = reply
}

/** The reply that the app made for this raw request; `undefined` when the request did not come by the app. */
export function getAppReply (raw: IncomingMessage): FastifyReply | undefined {
  return (raw as Marked)[kAppReply]
}

/** The generator of request ids for what was handed over: the id that the app gave, so that both log the same. */
export function withAppRequestId (generate: (raw: IncomingMessage) => string): (raw: IncomingMessage) => string {
  return raw => getAppReply(raw)?.request.id ?? generate(raw)
}
