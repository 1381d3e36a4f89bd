import type { FastifyInstance } from 'fastify'
import { getAppReply } from './app-reply.ts'
import type { Internals } from '../fastify/internals.ts'
import type { HookLists, OnRequestHook } from '../fastify/shapes.ts'

/** Application hooks: https://fastify.dev/docs/latest/Reference/Hooks/#application-hooks. Each tenant has its own. */
const APPLICATION_HOOKS = new Set(['onReady', 'onListen', 'preClose'])

/** Request hooks: https://fastify.dev/docs/latest/Reference/Lifecycle/ */
const REQUEST_HOOKS = [
  'onTimeout', 'onRequest', 'preParsing', 'preValidation', 'preSerialization', 'preHandler', 'onSend', 'onResponse', 'onError', 'onRequestAbort'
]

/** Puts an onRequest hook before all others of an instance and of its children, including earlier children. */
export function addFirstHook (instance: FastifyInstance, hook: OnRequestHook, internals: Internals): void {
  internals.get(instance, 'hooks').onRequest.unshift(hook)
  for (const child of internals.get(instance, 'children')) addFirstHook(child, hook, internals)
}

/** Returns the app's hooks for a tenant's routes. `onRequest`: the hooks that still have to run after the hand-over. */
export function tenantHooks (app: FastifyInstance, internals: Internals, onRequest: OnRequestHook[]): HookLists {
  const lists = internals.get(app, 'hooks')
  const hooks = Object.create(Object.getPrototypeOf(lists)) as HookLists
  for (const [name, list] of Object.entries(lists)) hooks[name] = APPLICATION_HOOKS.has(name) ? [] : list.slice()
  hooks.onRequest = onRequest
  return hooks
}

/**
 * Returns the context properties that attach a handler to `app`.
 * @param choose gets the app's hooks of one kind, bound to the app, and returns the hooks that run
 */
export function contextWithin (app: FastifyInstance, internals: Internals, choose: (name: string, hooks: unknown[]) => unknown[]): object {
  const hooks = internals.get(app, 'hooks')
  const lists = REQUEST_HOOKS.map(name => {
    const list = choose(name, (hooks[name] as Array<() => unknown>).map(hook => hook.bind(app)))
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

/** Returns all onRequest hooks except the one at `index`. Hooks before it skip handed-over requests, because they have already run. */
export function withoutRepeats (onRequest: OnRequestHook[], index: number): OnRequestHook[] {
  return [...onRequest.slice(0, index).map(unlessHandedOver), ...onRequest.slice(index + 1)]
}

function unlessHandedOver (hook: OnRequestHook): OnRequestHook {
  return function (this: FastifyInstance, request, reply, done) {
    if (getAppReply(request.raw) !== undefined) return done()
    return hook.call(this, request, reply, done)
  }
}
