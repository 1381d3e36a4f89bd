import type { FastifyInstance } from 'fastify'
import { FST_TENANT_REQUIRED } from '../errors.ts'
import { isExempt } from '../identification/preflight.ts'
import { originForm } from '../identification/target.ts'
import { REQUEST_HOOKS } from './hooks.ts'
import type { Internals } from '../fastify/internals.ts'
import type { OnRequestHook, RouteContext, RouteMatch, Router } from '../fastify/shapes.ts'

/** The kinds of hooks that run for a refusal. */
const REFUSAL_HOOKS = new Set(['preSerialization', 'onSend', 'onError'])

/**
 * Runs `hooks`, and no other hook of the app, before the user's `defaultRoute`, for URLs below the app's prefix. Without this, the
 * default route would answer before any hook could find a tenant. Call this when the app is ready.
 */
export function hookDefaultRoute (app: FastifyInstance, router: Router, internals: Internals, hooks: readonly OnRequestHook[]): void {
  const { defaultRoute } = router
  const { store, handler } = internals.get(app, 'fourOhFour').router.find('GET', '/', undefined) as RouteMatch
  const answer: OnRequestHook = (request, reply, done) => {
    if (isExempt(request)) return done(new FST_TENANT_REQUIRED())
    reply.hijack()
    defaultRoute(request.raw, reply.raw)
  }
  const context = contextOf(app, store as RouteContext, [...hooks.map(hook => hook.bind(app)), answer], internals)
  router.defaultRoute = (raw, rawReply) => {
    if (isBelow(app.prefix, raw.url as string)) handler(raw, rawReply, {}, context, {})
    else defaultRoute(raw, rawReply)
  }
}

function contextOf (app: FastifyInstance, notFound: RouteContext, onRequest: OnRequestHook[], internals: Internals): RouteContext {
  const hooks = internals.get(app, 'hooks')
  const lists = REQUEST_HOOKS.map(name => {
    const list = REFUSAL_HOOKS.has(name) ? hooks[name] as Array<() => unknown> : []
    return [name, list.length === 0 ? null : list.map(hook => hook.bind(app))]
  })
  return Object.assign(Object.create(notFound), Object.fromEntries(lists), {
    onRequest,
    server: app,
    Request: internals.get(app, 'Request'),
    Reply: internals.get(app, 'Reply'),
    errorHandler: internals.get(app, 'errorHandler')
  })
}

function isBelow (prefix: string, url: string): boolean {
  const [path] = (originForm(url) ?? '').split('?', 1)
  return `${path}/`.startsWith(prefix.replace(/\/?$/, '/'))
}
