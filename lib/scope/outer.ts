import type { IncomingMessage } from 'node:http'
import type { FastifyReply } from 'fastify'

const kOuter = Symbol('fastify-multitenant.outer')

interface Marked { [kOuter]?: FastifyReply }

/** Notes on the raw request that the app has made `reply` for it already. */
export function setOuter (raw: IncomingMessage, reply: FastifyReply): void {
  (raw as Marked)[kOuter] = reply
}

/** The reply that the app made for this raw request; `undefined` when the request did not come by the app. */
export function getOuter (raw: IncomingMessage): FastifyReply | undefined {
  return (raw as Marked)[kOuter]
}

/** The generator of request ids for what was handed over: the id that the app gave, so that both log the same. */
export function outerId (generate: (raw: IncomingMessage) => string): (raw: IncomingMessage) => string {
  return raw => getOuter(raw)?.request.id ?? generate(raw)
}
