import type { Internals } from './internals.ts'
import type { OnRequestHook, RouteContext, Router } from './shapes.ts'

/** Returns the contexts of the routes that run one of these hooks. Call this when all routes are known. */
export function contextsWith (isOne: (hook: OnRequestHook) => boolean, routers: readonly Router[], internals: Internals): RouteContext[] {
  const contexts = new Set(routers.flatMap(({ routes }) => routes.map(({ store }) => store)))
  return [...contexts].filter(({ server }) => internals.get(server, 'hooks').onRequest.some(isOne))
}
