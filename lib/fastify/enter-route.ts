import type { IncomingMessage, ServerResponse } from 'node:http'
import type { FastifyBaseLogger } from 'fastify'
import { logFailure } from '../utils/log-failure.ts'
import type { RouteMatch } from './shapes.ts'

/** As Fastify's own error handler says it. */
const FAILED = JSON.stringify({ statusCode: 500, error: 'Internal Server Error', message: 'The request could not be handled' })

/** Gives a raw request and reply to a route that a router found for them. */
export function enterRoute (route: RouteMatch, raw: IncomingMessage, rawReply: ServerResponse, log: FastifyBaseLogger, tenantId: string): void {
  const { handler, params, store, searchParams } = route
  try {
    handler(raw, rawReply, params, store, searchParams)
  } catch (err) {
    // A logger factory of the tenant, say. Fastify itself would let it end the process.
    logFailure(log, tenantId, err, 'the route could not be entered')
    fail(rawReply)
  }
}

/** Fastify has made no reply that an error handler could be given. */
function fail (rawReply: ServerResponse): void {
  if (rawReply.headersSent) {
    rawReply.destroy()
    return
  }
  rawReply.writeHead(500, { 'content-type': 'application/json; charset=utf-8', 'content-length': Buffer.byteLength(FAILED) })
  rawReply.end(FAILED)
}
