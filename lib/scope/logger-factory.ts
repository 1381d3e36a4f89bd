import type { IncomingMessage } from 'node:http'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import { getOuter } from './outer.ts'
import type { Internals, RouteContext } from './internals.ts'

type Factory = (this: FastifyInstance, log: FastifyBaseLogger, bindings: object, options: object, raw: IncomingMessage) => FastifyBaseLogger

/**
 * Makes a route ask its `childLoggerFactory` once for each request: the logger that the app made for a request that it has handed
 * over serves on. A route with a factory of its own asks that one.
 * @param bindings what the tenant adds to the app's logger
 */
export function askOnce (context: RouteContext, bindings: object, internals: Internals): void {
  const factory = context.childLoggerFactory as Factory
  context.childLoggerFactory = function (this: FastifyInstance, log: FastifyBaseLogger, given: object, options: object, raw: IncomingMessage) {
    const outer = getOuter(raw)
    const isMade = outer !== undefined && internals.contextOf(outer.request).childLoggerFactory === factory
    return isMade ? outer.log.child(bindings, options) : factory.call(this, log, given, options, raw)
  } satisfies Factory
}
