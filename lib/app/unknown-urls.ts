import type { FastifyInstance } from 'fastify'
import { REQUEST_HOOKS } from './hooks.ts'
import type { Internals } from '../fastify/internals.ts'
import type { RouteContext, RouteMatch } from '../fastify/shapes.ts'

/**
 * Makes the hooks of a child app run for unknown URLs below its prefix. Fastify itself runs only the root's hooks there, so a tenant's
 * own routes would never be reached. Call this when all routes are known.
 */
export function answerUnknownUrls (app: FastifyInstance, internals: Internals): void {
  const { router } = internals.get(app, 'fourOhFour')
  const wildcard = app.prefix.endsWith('/') ? `${app.prefix}*` : `${app.prefix}/*`
  // There always is one: Fastify sets a 404 handler at the root.
  const { store, handler } = router.find('GET', wildcard, undefined) as RouteMatch
  const context = store as RouteContext
  if (app === context.server || Object.prototype.isPrototypeOf.call(app, context.server)) return

  const within = contextWithin(app, context, internals)
  if (app.prefix === '') {
    Object.assign(context, within)
    return
  }
  const below = Object.assign(Object.create(context), within)
  router.all(wildcard, handler, below)
  router.all(app.prefix, handler, below)
}

/** The 404-context properties that attach the handler to `app`. The handler's own hooks run after the app's. */
function contextWithin (app: FastifyInstance, context: RouteContext, internals: Internals): object {
  const hooks = internals.get(app, 'hooks')
  const outerHooks = internals.get(context.server, 'hooks')
  const lists = REQUEST_HOOKS.map(name => {
    const own = (context as unknown as Record<string, unknown[] | null>)[name]?.slice((outerHooks[name] as unknown[]).length) ?? []
    const list = [...(hooks[name] as Array<() => unknown>).map(hook => hook.bind(app)), ...own]
    return [name, list.length === 0 ? null : list]
  })
  return {
    ...Object.fromEntries(lists),
    server: app,
    Request: internals.get(app, 'Request'),
    Reply: internals.get(app, 'Reply'),
    errorHandler: internals.get(app, 'errorHandler')
  }
}
