import { ServerResponse } from 'node:http'
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { leaseOf } from '../leases/response-lease.ts'
import type { FastifyInstance, FastifyReply } from 'fastify'
import { afterResponses, responseOf } from './after-responses.ts'
import type { TenantServer } from '../scope/tenant-server.ts'

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

  /** Whether this request asks for an upgrade that no tenant has yet. */
  has (raw: IncomingMessage): boolean {
    return this.#listening && this.#pending.has(raw)
  }

  /** Passes an upgrade that the app routed on to the tenant's server; `false` when it is not one, or the tenant does not listen. */
  passOn (server: FastifyInstance['server'], reply: FastifyReply): boolean {
    if (!this.#listening || server === this.#app.server) return false
    const { raw } = reply.request
    const upgrade = this.#pending.get(raw)
    if (upgrade === undefined || server.listenerCount('upgrade') === 0) return false
    this.#pending.delete(raw)
    const { socket, head } = upgrade
    // Where other listeners of the app may have the socket, the response has none.
    if (reply.raw.socket !== null) reply.raw.detachSocket(socket)
    // A close by force ends the response, which has no socket any more.
    reply.raw.destroy = () => {
      socket.destroy()
      return reply.raw
    }
    // No handler runs for the app's response.
    leaseOf(reply.raw)?.noteHandler(reply, undefined)
    // What is open is told by the app's response, which has no socket any more.
    socket.once('close', () => reply.raw.emit('close'))
    if (!(server as unknown as TenantServer).tell('upgrade', raw, socket, head)) socket.destroy()
    return true
  }

  readonly #onUpgrade = (raw: IncomingMessage, socket: Socket, head: Buffer): void => {
    this.#pending.set(raw, { socket, head })
    socket.on('error', () => socket.destroy())
    if (this.#app.server.listenerCount('upgrade') === 1) {
      return afterResponses(socket, () => this.#answer(raw, socket))
    }
    const { bytesWritten } = socket
    process.nextTick(() => {
      // A plugin of the app has routed it, and answers where no tenant does; or has answered without routing.
      if (!this.has(raw) || responseOf(socket)?.req === raw || socket.bytesWritten !== bytesWritten) return
      // Others may have the socket, so the response has none: what the app answers is not sent, and a tenant may take the upgrade.
      afterResponses(socket, () => this.#route(raw, new ServerResponse(raw)))
    })
  }

  #answer (raw: IncomingMessage, socket: Socket): void {
    const rawReply = new ServerResponse(raw)
    rawReply.assignSocket(socket)
    // Node has begun to wait for another request, where one was pipelined before.
    socket.setTimeout(this.#app.server.timeout)
    // Nobody reads the socket any more: an answer that is not an upgrade is the last.
    rawReply.once('finish', () => socket.destroySoon())
    this.#route(raw, rawReply)
  }

  #route (raw: IncomingMessage, rawReply: ServerResponse): void {
    try {
      this.#app.routing(raw, rawReply)
    } catch (err) {
      this.#app.log.error({ err }, 'an upgrade could not be routed')
      raw.socket.destroy()
    }
  }
}
