import type { FastifyRequest } from 'fastify'
import { getAppReply } from './app-reply.ts'
import type { Internals } from '../fastify/internals.ts'
import type { OnRequestHook, RouteContext, Router } from '../fastify/shapes.ts'

/** The contexts of the routes that run a hook. To be called when all routes are known. */
export function contextsWith (hook: OnRequestHook, routers: readonly Router[], internals: Internals): RouteContext[] {
  const contexts = new Set(routers.flatMap(({ routes }) => routes.map(({ store }) => store)))
  return [...contexts].filter(({ server }) => internals.get(server, 'hooks').onRequest.includes(hook))
}

/**
 * Keeps the onRequestAbort hooks of a route of the app to one run. Fastify listens for the abort of a request that was handed over,
 * whatever happens, so its hooks are told to leave it: those of the route that it was handed to run.
 */
export function silenceHandedOver (context: RouteContext): void {
  context.onRequestAbort?.unshift(stopHandedOver)
}

/** Does not call on: the hooks after it do not run. */
function stopHandedOver (request: FastifyRequest, done: () => void): void {
  if (getAppReply(request.raw)?.request !== request) done()
}
