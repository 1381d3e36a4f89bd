import { ServerResponse } from 'node:http'
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { leaseOf } from '../tenants/response.ts'
import type { FastifyInstance, FastifyReply } from 'fastify'

/** A connection that a client wants to take out of HTTP. */
interface Upgrade {
  socket: Socket
  head: Buffer
}

/**
 * Brings upgrades to tenants that listen for them on their own server, as @fastify/websocket does. Nothing is done before
 * a tenant does: a server that listens for upgrades takes every request that asks for one out of HTTP, `h2c` too.
 */
export class Upgrades {
  readonly #app: FastifyInstance
  readonly #pending = new WeakMap<IncomingMessage, Upgrade>()
  #listening = false

  constructor (app: FastifyInstance) {
    this.#app = app
  }

  /** Starts listening on the app's server, which ends with it. */
  listen (): void {
    if (this.#listening) return
    this.#listening = true
    // First, so that the upgrade is known when a plugin of the app routes it.
    this.#app.server.prependListener('upgrade', this.#onUpgrade)
  }

  /** Passes an upgrade that the app routed on to the tenant's server; `false` when it is none, or the tenant does not listen. */
  passOn (server: FastifyInstance['server'], reply: FastifyReply): boolean {
    if (!this.#listening || server === this.#app.server) return false
    const { raw } = reply.request
    const upgrade = this.#pending.get(raw)
    if (upgrade === undefined || server.listenerCount('upgrade') === 0) return false
    const { socket, head } = upgrade
    reply.raw.detachSocket(socket)
    // A close by force ends the response, which has no socket any more.
    reply.raw.destroy = () => {
      socket.destroy()
      return reply.raw
    }
    // No handler runs for the app's response.
    leaseOf(reply.raw)?.noteHandler(reply, undefined)
    // What is open is told by the app's response, which has no socket any more.
    socket.once('close', () => reply.raw.emit('close'))
    server.emit('upgrade', raw, socket, head)
    return true
  }

  readonly #onUpgrade = (raw: IncomingMessage, socket: Socket, head: Buffer): void => {
    this.#pending.set(raw, { socket, head })
    // A plugin of the app routes it, and answers where no tenant does.
    if (this.#app.server.listenerCount('upgrade') > 1) return
    socket.on('error', () => socket.destroy())
    const rawReply = new ServerResponse(raw)
    rawReply.assignSocket(socket)
    // Nobody reads the socket any more: an answer that is no upgrade is the last.
    rawReply.once('finish', () => socket.destroySoon())
    this.#app.routing(raw, rawReply)
  }
}
