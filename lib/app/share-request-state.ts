import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { getAppReply } from './app-reply.ts'
import type { Internals } from '../fastify/internals.ts'
import type { OnRequestHook } from '../fastify/shapes.ts'

/**
 * An onRequest hook that shows a tenant's request and reply what earlier hooks left on those of the app. Keys are shared by
 * accessors, both ways: @fastify/session keeps the request it saw first, so a copy would part from it.
 */
export function shareRequestState (app: FastifyInstance, internals: Internals): OnRequestHook {
  const requestKeys = new Set(Reflect.ownKeys(new (internals.get(app, 'Request'))()))
  const replyKeys = new Set(Reflect.ownKeys(new (internals.get(app, 'Reply'))()))
  for (const decorated of internals.get(app, 'Request').props) requestKeys.delete(decorated.key)
  for (const decorated of internals.get(app, 'Reply').props) replyKeys.delete(decorated.key)
  requestKeys.add('tenant').add('tenantId')

  return function carry (request: FastifyRequest, reply: FastifyReply, done: () => void): void {
    const outer = getAppReply(request.raw)
    if (outer === undefined) return done()
    share(outer.request, request, requestKeys)
    share(outer, reply, replyKeys)
    reply.headers(outer.getHeaders())
    done()
  }
}

function share (from: object, to: object, except: ReadonlySet<string | symbol>): void {
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
