import type { IncomingMessage, ServerResponse } from 'node:http'
import type { FastifyBaseLogger } from 'fastify'
import type { RouteMatch } from './internals.ts'

/** Gives a raw request and reply to a route that a router found for them. */
export function enterRoute ({ handler, params, store, searchParams }: RouteMatch, raw: IncomingMessage, rawReply: ServerResponse, log: FastifyBaseLogger): void {
  try {
    handler(raw, rawReply, params, store, searchParams)
  } catch (err) {
    // A logger factory of the tenant, say. Fastify itself would let it end the process.
    log.error({ err }, 'the route could not be entered')
    rawReply.destroy()
  }
}
