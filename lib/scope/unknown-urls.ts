import type { FastifyInstance } from 'fastify'
import type { PluginHooks } from './host-app.ts'
import type { Internals, RouteContext } from './internals.ts'

/**
 * Below the app's root Fastify runs none of a child's hooks for URLs that no route has, so a tenant's own routes would never be
 * reached: the plugin's hooks are put around what answers such URLs there. To be called when all routes are known.
 */
export function answerUnknownUrls (app: FastifyInstance, { identify, refuse }: PluginHooks, internals: Internals): void {
  const { router } = internals.get(app, 'fourOhFour')
  const wildcard = app.prefix.endsWith('/') ? `${app.prefix}*` : `${app.prefix}/*`
  const found = router.find('GET', wildcard, undefined)
  const context = found?.store as RouteContext
  if (app === context.server || Object.prototype.isPrototypeOf.call(app, context.server)) return

  const hooks = {
    server: app,
    Request: internals.get(app, 'Request'),
    Reply: internals.get(app, 'Reply'),
    errorHandler: internals.get(app, 'errorHandler'),
    onRequest: [identify, ...context.onRequest ?? [], refuse]
  }
  if (app.prefix === '') {
    Object.assign(context, hooks)
    return
  }
  const below = Object.assign(Object.create(context), hooks)
  router.all(wildcard, found!.handler, below)
  router.all(app.prefix, found!.handler, below)
}
