import { EventEmitter } from 'node:events'
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http'

const kGoOn = Symbol('fastify-multitenant.goOn')

/** A request that was passed to the listeners of a tenant's server. */
interface Offered { [kGoOn]?: () => void }

/** The settings and counts of an HTTP server. A tenant reads those of the app's server. If the tenant sets one, only the tenant sees the new value, and it has no effect. */
const READ_THROUGH = [
  'timeout', 'keepAliveTimeout', 'keepAliveTimeoutBuffer', 'requestTimeout', 'headersTimeout', 'maxHeadersCount', 'maxRequestsPerSocket',
  'maxConnections', 'dropMaxConnection', 'connections', '_connections', 'connectionsCheckingInterval', 'maxHeaderSize', 'insecureHTTPParser',
  'requireHostHeader', 'joinDuplicateHeaders', 'rejectNonStandardBodyWrites', 'httpAllowHalfOpen', 'allowHalfOpen', 'pauseOnConnect',
  'noDelay', 'keepAlive', 'keepAliveInitialDelay', 'highWaterMark'
]

/** The message of the error when a tenant calls `listen()`. */
export const REFUSED_LISTEN = 'A tenant has no server of its own: call listen() on the app'

export interface TenantServerParts {
  /** The result of `inertPrototype()`. */
  prototype: object
  /** The app's server. */
  server: Server
  /** Handles a request that the tenant's code emits on this server itself. */
  serve: RequestListener
  /** Called when the tenant adds a listener for upgrades. */
  onUpgradeListener: () => void
  /** Receives the errors that listeners throw. */
  onError: (error: unknown, event: string) => void
}

/**
 * A tenant's `app.server`. It opens no port and closes no connection; its settings read as those of the app's server. Each tenant has
 * its own, so its listeners are freed with the tenant. It emits `listening`, `request`, `upgrade` and `close` for this tenant. It never
 * emits events from before the tenant is known: connections, TLS and HTTP/2 sessions, malformed requests, `checkContinue`.
 */
export class TenantServer extends EventEmitter {
  readonly #parts: TenantServerParts
  #intercepts = false
  #closed = false

  constructor (parts: TenantServerParts) {
    super()
    this.#parts = parts
    Object.setPrototypeOf(this, parts.prototype)
    this.on('request', (raw: IncomingMessage & Offered, rawReply: ServerResponse) => this.#onRequest(raw, rawReply))
    this.on('newListener', event => {
      if (event === 'upgrade') parts.onUpgradeListener()
      if (event === 'request') this.#intercepts = true
    })
  }

  get listening (): boolean {
    return !this.#closed && this.#parts.server.listening
  }

  /** Whether the tenant has added a listener for requests. Stays `true` if the tenant removes it. */
  get intercepts (): boolean {
    return this.#intercepts
  }

  address (): ReturnType<Server['address']> {
    return this.#parts.server.address()
  }

  getConnections (done: (error: Error | null, count: number) => void): this {
    this.#parts.server.getConnections(done)
    return this
  }

  /** Stores the timeout without effect: it would close connections that all tenants share. */
  setTimeout (timeout: number, listener?: () => void): this {
    Reflect.set(this, 'timeout', timeout)
    if (listener !== undefined) this.on('timeout', listener)
    return this
  }

  listen (): never {
    throw new Error(REFUSED_LISTEN)
  }

  /** Emits `close`, once. The drain of the tenant starts with this call. A second call passes the same error to `done` as Node's servers do. */
  close (done?: (error?: Error) => void): this {
    if (this.#closed) {
      if (done !== undefined) process.nextTick(done, Object.assign(new Error('Server is not running.'), { code: 'ERR_SERVER_NOT_RUNNING' }))
      return this
    }
    this.#closed = true
    process.nextTick(() => {
      this.emitSafely('close')
      done?.()
    })
    return this
  }

  ref (): this {
    return this
  }

  unref (): this {
    return this
  }

  closeIdleConnections (): void {}

  closeAllConnections (): void {}

  /** Emits an event. Returns `false` when a listener throws; the error goes to the log, because it would end the process for all tenants. */
  emitSafely (event: string, ...details: unknown[]): boolean {
    try {
      this.emit(event, ...details)
      return true
    } catch (error) {
      this.#parts.onError(error, event)
      return false
    }
  }

  /**
   * Emits a request. The first listener calls `goOn`. The tenant's listeners may have replaced it to answer some requests themselves,
   * as socket.io does.
   * @returns whether `goOn` has been called; it may be called later
   */
  offer (raw: IncomingMessage & Offered, rawReply: ServerResponse, goOn: (error?: unknown) => void): boolean {
    let hasGoneOn = false
    const goOnOnce = (error?: unknown): void => {
      if (hasGoneOn) return
      hasGoneOn = true
      goOn(error)
    }
    raw[kGoOn] = goOnOnce
    try {
      this.emit('request', raw, rawReply)
    } catch (error) {
      this.#parts.onError(error, 'request')
      goOnOnce(error)
    }
    return hasGoneOn
  }

  #onRequest (raw: IncomingMessage & Offered, rawReply: ServerResponse): void {
    const goOn = raw[kGoOn]
    if (goOn === undefined) this.#parts.serve(raw as IncomingMessage & { socket: never }, rawReply as never)
    else goOn()
  }
}

/** Creates the prototype of all tenants' servers. They are `instanceof` the class of the app's server. */
export function inertPrototype (server: Server): object {
  const settings = READ_THROUGH.map(name => [name, {
    configurable: true,
    get: () => Reflect.get(server, name),
    set (this: object, value: unknown) { Object.defineProperty(this, name, { value, writable: true, enumerable: true, configurable: true }) }
  }])
  return Object.create(Object.getPrototypeOf(server), { ...Object.getOwnPropertyDescriptors(TenantServer.prototype), ...Object.fromEntries(settings) })
}
