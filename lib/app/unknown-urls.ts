import type { FastifyInstance } from 'fastify'
import { contextWithin } from './hooks.ts'
import type { Internals } from '../fastify/internals.ts'
import type { RouteContext, RouteMatch } from '../fastify/shapes.ts'

/**
 * Makes the hooks of a child app run for unknown URLs below its prefix. Fastify itself runs only the root's hooks there, so a tenant's
 * own routes would never be reached. Call this when all routes are known.
 */
export function answerUnknownUrls (app: FastifyInstance, internals: Internals): void {
  const { router } = internals.get(app, 'fourOhFour')
  const wildcard = app.prefix.endsWith('/') ? `${app.prefix}*` : `${app.prefix}/*`
  // There is always one: Fastify sets a 404 handler at the root.
  const { store, handler } = router.find('GET', wildcard, undefined) as RouteMatch
  const context = store as RouteContext
  if (app === context.server || Object.prototype.isPrototypeOf.call(app, context.server)) return

  const rootHooks = internals.get(context.server, 'hooks')
  // The handler's own hooks run after the app's.
  const within = contextWithin(app, internals, (name, appHooks) => {
    const all = (context as unknown as Record<string, unknown[] | null>)[name] ?? []
    return [...appHooks, ...all.slice((rootHooks[name] as unknown[]).length)]
  })
  if (app.prefix === '') {
    Object.assign(context, within)
    return
  }
  const below = Object.assign(Object.create(context), within)
  router.all(wildcard, handler, below)
  router.all(app.prefix, handler, below)
}
