import type { IncomingMessage, ServerResponse } from 'node:http'
import type { FastifyBaseLogger } from 'fastify'
import { logFailure } from '../utils/log-failure.ts'
import type { RouteMatch } from './shapes.ts'

/** The body has the same properties as the reply of Fastify's default error handler. */
const FAILED = JSON.stringify({ statusCode: 500, error: 'Internal Server Error', message: 'The request could not be handled' })

/** Passes a raw request and reply to a matched route, as find-my-way does. */
export function enterRoute (route: RouteMatch, raw: IncomingMessage, rawReply: ServerResponse, log: FastifyBaseLogger, tenantId: string): void {
  const { handler, params, store, searchParams } = route
  try {
    handler(raw, rawReply, params, store, searchParams)
  } catch (err) {
    // For example, the tenant's logger factory threw. Fastify does not catch such errors, so this one would end the process.
    logFailure(log, { tenantId }, err, "the tenant's route could not take the request")
    fail(rawReply)
  }
}

/** Replies with a 500 without an error handler: Fastify has not made a reply that an error handler could use. */
function fail (rawReply: ServerResponse): void {
  if (rawReply.headersSent) {
    rawReply.destroy()
    return
  }
  rawReply.writeHead(500, { 'content-type': 'application/json; charset=utf-8', 'content-length': Buffer.byteLength(FAILED) })
  rawReply.end(FAILED)
}
