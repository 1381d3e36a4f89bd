import type { IncomingMessage, ServerResponse } from 'node:http'
import type { FastifyInstance } from 'fastify'
import type { Internals } from '../fastify/internals.ts'

type Listener = (raw: IncomingMessage, rawReply: ServerResponse) => void

/** Takes a request of the server. Returns `false` if the app has to route it. */
export type Take = (raw: IncomingMessage, rawReply: ServerResponse) => boolean

/** Fastify options that put something else between the server and the app's router. */
const INTERCEPTING_OPTIONS = ['serverFactory', 'http2', 'rewriteUrl']

/**
 * Offers the requests of the app's server to `take` before Fastify routes them. Other requests go to the app unchanged: those of
 * `inject()`, and of the second server that Fastify opens for `localhost`. Nothing is offered if an option of Fastify changes requests
 * before the router. Call this when the app is ready.
 */
export function offerRequests (app: FastifyInstance, internals: Internals, take: Take): void {
  const listeners = app.server.listeners('request') as Listener[]
  const options = internals.get(app, 'options')
  if (listeners.length !== 1 || INTERCEPTING_OPTIONS.some(name => options[name])) return

  const [listener] = listeners as [Listener]
  const state = internals.get(app, 'state')
  app.server.removeListener('request', listener)
  app.server.on('request', (raw, rawReply) => {
    // A closing app refuses requests itself.
    if (state.closing || !take(raw, rawReply)) listener(raw, rawReply)
  })
}
