import { ServerResponse } from 'node:http'
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { leaseOf } from '../leases/response-lease.ts'
import type { FastifyInstance, FastifyReply } from 'fastify'
import { afterResponses, responseOf } from './after-responses.ts'
import type { TenantServer } from '../scope/tenant-server.ts'

/** A connection that a client asks to switch to another protocol. */
interface Upgrade {
  socket: Socket
  head: Buffer
}

/**
 * Passes upgrade requests to tenants that listen for them on their own server, like @fastify/websocket. It starts to listen only when
 * a tenant does: Node passes every upgrade request, `h2c` too, to the upgrade listeners of a server that has any.
 */
export class Upgrades {
  readonly #app: FastifyInstance
  readonly #pending = new WeakMap<IncomingMessage, Upgrade>()
  #listening = false

  constructor (app: FastifyInstance) {
    this.#app = app
  }

  /** Starts listening on the app's server. The listener lives as long as that server. */
  listen (): void {
    if (this.#listening) return
    this.#listening = true
    // This listener comes first: the upgrade must be known when a plugin of the app routes it.
    this.#app.server.prependListener('upgrade', this.#onUpgrade)
  }

  /** Whether this request asks for an upgrade that no tenant has taken. */
  has (raw: IncomingMessage): boolean {
    return this.#listening && this.#pending.has(raw)
  }

  /** Passes an upgrade that the app routed to the tenant's server. Returns `false` if the request is not an upgrade, or the tenant does not listen. */
  passOn (server: FastifyInstance['server'], reply: FastifyReply): boolean {
    if (!this.#listening || server === this.#app.server) return false
    const { raw } = reply.request
    const upgrade = this.#pending.get(raw)
    if (upgrade === undefined || server.listenerCount('upgrade') === 0) return false
    this.#pending.delete(raw)
    const { socket, head } = upgrade
    // The response has no socket if other listeners of the app may use it.
    if (reply.raw.socket !== null) reply.raw.detachSocket(socket)
    // A forced drain destroys the response, which no longer has a socket.
    reply.raw.destroy = () => {
      socket.destroy()
      return reply.raw
    }
    // No handler will run for the app's response.
    leaseOf(reply.raw)?.noteHandler(reply, undefined)
    // The lease ends with the app's response, which no longer has a socket to close it.
    socket.once('close', () => reply.raw.emit('close'))
    if (!(server as unknown as TenantServer).emitSafely('upgrade', raw, socket, head)) socket.destroy()
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
      // A plugin of the app has routed the upgrade, or has answered it without routing.
      if (!this.has(raw) || responseOf(socket)?.req === raw || socket.bytesWritten !== bytesWritten) return
      // Other listeners may use the socket, so the response gets none: a tenant may take the upgrade, and the app's answer is not sent.
      afterResponses(socket, () => this.#route(raw, new ServerResponse(raw)))
    })
  }

  #answer (raw: IncomingMessage, socket: Socket): void {
    const rawReply = new ServerResponse(raw)
    rawReply.assignSocket(socket)
    // Node has set the keep-alive timeout if an earlier request was pipelined.
    socket.setTimeout(this.#app.server.timeout)
    // Nobody reads the socket any more, so an answer that is not an upgrade is the last one.
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
