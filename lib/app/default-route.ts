import type { FastifyInstance } from 'fastify'
import { FST_TENANT_REQUIRED } from '../errors.ts'
import { isExempt } from '../identification/preflight.ts'
import { originForm } from '../identification/origin-form.ts'
import { contextWithin } from './hooks.ts'
import type { Internals } from '../fastify/internals.ts'
import type { OnRequestHook, RouteMatch, Router } from '../fastify/shapes.ts'

/** The kinds of hooks that run for a refusal. */
const REFUSAL_HOOKS = new Set(['preSerialization', 'onSend', 'onError'])

/**
 * Runs `hooks`, and no other onRequest hook of the app, before the user's `defaultRoute`, for URLs below the app's prefix. Without
 * this, the default route would answer before any hook could find a tenant. Call this when the app is ready.
 */
export function hookDefaultRoute (app: FastifyInstance, router: Router, internals: Internals, hooks: readonly OnRequestHook[]): void {
  const { defaultRoute } = router
  const { store, handler } = internals.get(app, 'fourOhFour').router.find('GET', '/', undefined) as RouteMatch
  const answer: OnRequestHook = (request, reply, done) => {
    if (isExempt(request)) return done(new FST_TENANT_REQUIRED())
    reply.hijack()
    defaultRoute(request.raw, reply.raw)
  }
  const within = contextWithin(app, internals, (name, appHooks) => REFUSAL_HOOKS.has(name) ? appHooks : [])
  const context = Object.assign(Object.create(store), within, { onRequest: [...hooks.map(hook => hook.bind(app)), answer] })
  router.defaultRoute = (raw, rawReply) => {
    if (isBelow(app.prefix, raw.url as string)) handler(raw, rawReply, {}, context, {})
    else defaultRoute(raw, rawReply)
  }
}

function isBelow (prefix: string, url: string): boolean {
  const [path] = (originForm(url) ?? '').split('?', 1)
  return `${path}/`.startsWith(prefix.replace(/\/?$/, '/'))
}
