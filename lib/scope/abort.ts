import type { FastifyRequest } from 'fastify'
import { getOuter } from './outer.ts'
import type { Internals, OnRequestHook, RouteContext, Router } from './internals.ts'

/**
 * Keeps the app's onRequestAbort hooks to one run. Fastify listens for the abort of a request that was handed over, whatever
 * happens, so its hooks are told to leave it: those of the route that it was handed to run. To be called when all routes are known.
 */
export function silenceHandedOver (routers: readonly Router[], identify: OnRequestHook, internals: Internals): void {
  const contexts = new Set(routers.flatMap(({ routes }) => routes.map(({ store }) => store)))
  for (const context of contexts) {
    if (runs(identify, context, internals)) context.onRequestAbort?.unshift(stopHandedOver)
  }
}

function runs (identify: OnRequestHook, { server }: RouteContext, internals: Internals): boolean {
  return internals.get(server, 'hooks').onRequest.includes(identify)
}

/** Does not call on: the hooks after it do not run. */
function stopHandedOver (request: FastifyRequest, done: () => void): void {
  if (getOuter(request.raw)?.request !== request) done()
}
