import type { FastifyRequest } from 'fastify'
import { getAppReply } from './app-reply.ts'
import type { Internals } from '../fastify/internals.ts'
import type { OnRequestHook, RouteContext, Router } from '../fastify/shapes.ts'

/** Returns the contexts of the routes that run one of these hooks. Call this when all routes are known. */
export function contextsWith (isOne: (hook: OnRequestHook) => boolean, routers: readonly Router[], internals: Internals): RouteContext[] {
  const contexts = new Set(routers.flatMap(({ routes }) => routes.map(({ store }) => store)))
  return [...contexts].filter(({ server }) => internals.get(server, 'hooks').onRequest.some(isOne))
}

/** Stops the app route's onRequestAbort hooks for a handed-over request. The tenant route's hooks run instead. */
export function silenceHandedOver (context: RouteContext): void {
  context.onRequestAbort?.unshift(stopHandedOver)
}

/** Never calls `done` for a handed-over request, so the remaining hooks do not run. */
function stopHandedOver (request: FastifyRequest, done: () => void): void {
  if (getAppReply(request.raw)?.request !== request) done()
}
