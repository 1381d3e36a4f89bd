import type { FastifyRequest } from 'fastify'
import { getAppReply } from './app-reply.ts'
import type { RouteContext } from '../fastify/shapes.ts'

/** Stops the app route's onRequestAbort hooks for a handed-over request. The tenant route's hooks run instead. */
export function silenceHandedOver (context: RouteContext): void {
  context.onRequestAbort?.unshift(stopHandedOver)
}

/** Never calls `done` for a handed-over request, so the remaining hooks do not run. */
function stopHandedOver (request: FastifyRequest, done: () => void): void {
  if (getAppReply(request.raw)?.request !== request) done()
}
