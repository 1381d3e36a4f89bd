import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ParentApp } from './parent-app.ts'

type Listener = (raw: IncomingMessage, rawReply: ServerResponse) => void

/** Takes a request that the server received; `false` when the app is to route it. */
export type Take = (raw: IncomingMessage, rawReply: ServerResponse) => boolean

/** Options of Fastify with which something else stands between the server and the app's router. */
const BETWEEN = ['serverFactory', 'http2', 'rewriteUrl']

/**
 * Offers the requests of the app's server before Fastify routes them. What does not come from there goes to the app as ever:
 * `inject()`, and the second server that Fastify opens for `localhost`. Where anything comes before the plugin's hook, nothing
 * is offered. To be called when the app is ready.
 */
export function offerRequests ({ app, internals, isFirst }: ParentApp, take: Take): void {
  const listeners = app.server.listeners('request') as Listener[]
  const options = internals.get(app, 'options')
  if (!isFirst || listeners.length !== 1 || BETWEEN.some(name => options[name])) return

  const [listener] = listeners as [Listener]
  const state = internals.get(app, 'state')
  app.server.removeListener('request', listener)
  app.server.on('request', (raw, rawReply) => {
    // An app that closes has an answer of its own.
    if (state.closing || !take(raw, rawReply)) listener(raw, rawReply)
  })
}
