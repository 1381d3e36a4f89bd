import type { IncomingMessage } from 'node:http'
import type { FastifyReply } from 'fastify'

const kAppReply = Symbol('fastify-multitenant.app-reply')

interface HandedOver { [kAppReply]?: FastifyReply }

/** Marks a raw request as handed over, and stores the reply that the app made for it. */
export function setAppReply (raw: IncomingMessage, reply: FastifyReply): void {
  (raw as HandedOver)[kAppReply] = reply
}

/** Returns the reply that the app made for a raw request; `undefined` if the app has not handed the request over. */
export function getAppReply (raw: IncomingMessage): FastifyReply | undefined {
  return (raw as HandedOver)[kAppReply]
}

/** Returns a generator of request ids. A handed-over request keeps the id that the app gave it, so both log the same id. */
export function withAppRequestId (generate: (raw: IncomingMessage) => string): (raw: IncomingMessage) => string {
  return raw => getAppReply(raw)?.request.id ?? generate(raw)
}
