import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { getAppReply } from './app-reply.ts'
import type { Internals } from '../fastify/internals.ts'
import type { OnRequestHook } from '../fastify/shapes.ts'

/**
 * Returns an onRequest hook that shares the properties that earlier hooks set on the app's request and reply with those of the tenant.
 * Accessors share them both ways: @fastify/session keeps the first request, so a copy would diverge from it.
 */
export function shareRequestState (app: FastifyInstance, internals: Internals): OnRequestHook {
  const requestKeys = new Set(Reflect.ownKeys(new (internals.get(app, 'Request'))()))
  const replyKeys = new Set(Reflect.ownKeys(new (internals.get(app, 'Reply'))()))
  for (const decorated of internals.get(app, 'Request').props) requestKeys.delete(decorated.key)
  for (const decorated of internals.get(app, 'Reply').props) replyKeys.delete(decorated.key)
  requestKeys.add('tenant').add('tenantId')

  return function share (request: FastifyRequest, reply: FastifyReply, done: () => void): void {
    const appReply = getAppReply(request.raw)
    if (appReply === undefined) return done()
    shareKeys(appReply.request, request, requestKeys)
    shareKeys(appReply, reply, replyKeys)
    reply.headers(appReply.getHeaders())
    done()
  }
}

function shareKeys (from: object, to: object, except: ReadonlySet<string | symbol>): void {
  for (const key of Reflect.ownKeys(from)) {
    if (except.has(key)) continue
    Object.defineProperty(to, key, {
      configurable: true,
      enumerable: true,
      get: () => Reflect.get(from, key),
      set: value => { Reflect.set(from, key, value) }
    })
  }
}
