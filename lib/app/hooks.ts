import type { FastifyInstance } from 'fastify'
import { getAppReply } from './app-reply.ts'
import type { Internals } from '../fastify/internals.ts'
import type { HookLists, OnRequestHook } from '../fastify/shapes.ts'

/** Runs when an application hook would: when the app itself is ready, listens or closes. A tenant has its own of these. */
const APPLICATION_HOOKS = new Set(['onReady', 'onListen', 'preClose'])

/** Run for each request: https://fastify.dev/docs/latest/Reference/Lifecycle/ */
export const REQUEST_HOOKS = [
  'onTimeout', 'onRequest', 'preParsing', 'preValidation', 'preSerialization', 'preHandler', 'onSend', 'onResponse', 'onError', 'onRequestAbort'
]

/** Puts an onRequest hook before all others of an instance and of its children, those made earlier included. */
export function addFirstHook (instance: FastifyInstance, hook: OnRequestHook, internals: Internals): void {
  internals.get(instance, 'hooks').onRequest.unshift(hook)
  for (const child of internals.get(instance, 'children')) addFirstHook(child, hook, internals)
}

/** The app's hooks as a tenant's routes run them. `onRequest` is what of it is left to run after the hand-over. */
export function tenantHooks (app: FastifyInstance, internals: Internals, onRequest: OnRequestHook[]): HookLists {
  const lists = internals.get(app, 'hooks')
  const hooks = Object.create(Object.getPrototypeOf(lists)) as HookLists
  for (const [name, list] of Object.entries(lists)) hooks[name] = APPLICATION_HOOKS.has(name) ? [] : list.slice()
  hooks.onRequest = onRequest
  return hooks
}

/** The hooks around `identify`, of which those before it pass by what the app has handed over: they have run there. */
export function withoutRepeats (onRequest: OnRequestHook[], identify: OnRequestHook): OnRequestHook[] {
  const index = onRequest.indexOf(identify)
  return [...onRequest.slice(0, index).map(unlessHandedOver), ...onRequest.slice(index + 1)]
}

function unlessHandedOver (hook: OnRequestHook): OnRequestHook {
  return function (this: FastifyInstance, request, reply, done) {
    if (getAppReply(request.raw) !== undefined) return done()
    return hook.call(this, request, reply, done)
  }
}
