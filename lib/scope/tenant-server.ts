import { EventEmitter } from 'node:events'
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http'

const kGoOn = Symbol('fastify-multitenant.goOn')

interface Offered { [kGoOn]?: () => void }

/** The settings and counts of an HTTP server. A tenant reads those of the app's server until it sets its own, which change nothing. */
const READ_THROUGH = [
  'timeout', 'keepAliveTimeout', 'keepAliveTimeoutBuffer', 'requestTimeout', 'headersTimeout', 'maxHeadersCount', 'maxRequestsPerSocket',
  'maxConnections', 'dropMaxConnection', 'connections', '_connections', 'connectionsCheckingInterval', 'maxHeaderSize', 'insecureHTTPParser',
  'requireHostHeader', 'joinDuplicateHeaders', 'rejectNonStandardBodyWrites', 'httpAllowHalfOpen', 'allowHalfOpen', 'pauseOnConnect',
  'noDelay', 'keepAlive', 'keepAliveInitialDelay', 'highWaterMark'
]

/** The error of a real server's `listen()` has no place here: a tenant never has a port. */
export const REFUSED_LISTEN = 'A tenant has no server of its own: call listen() on the app'

/** What a tenant's server is made with. */
export interface InertServerParts {
  /** From `inertPrototype()`. */
  prototype: object
  /** The app's server. */
  server: Server
  /** Answers a request that somebody emits here, and that did not come by the app. */
  serve: RequestListener
  /** Called when something listens for upgrades here. */
  onUpgradeListener: () => void
  /** Is told what a listener has thrown. */
  onError: (error: unknown, event: string) => void
}

/**
 * Stands where a tenant's HTTP server would be: it opens and closes nothing, and reads as the app's. Each tenant has its own, so that
 * what listens on it goes with the tenant. It emits `listening`, `request`, `upgrade` and `close` for this tenant. It cannot emit what
 * comes before the tenant is known: connections, TLS and HTTP/2 sessions, malformed requests, `checkContinue`.
 */
export class TenantServer extends EventEmitter {
  readonly #parts: InertServerParts
  #intercepts = false
  #closed = false

  constructor (parts: InertServerParts) {
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

  /** Whether something of the tenant's has listened for requests here. */
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

  /** A timeout ends connections, which are everybody's: the tenant's is kept, and has no effect. */
  setTimeout (timeout: number, listener?: () => void): this {
    Reflect.set(this, 'timeout', timeout)
    if (listener !== undefined) this.on('timeout', listener)
    return this
  }

  listen (): never {
    throw new Error(REFUSED_LISTEN)
  }

  /** Called at the start of the tenant's drain. `close` is emitted once; a second call is told what a closed server tells. */
  close (done?: (error?: Error) => void): this {
    if (this.#closed) {
      if (done !== undefined) process.nextTick(done, Object.assign(new Error('Server is not running.'), { code: 'ERR_SERVER_NOT_RUNNING' }))
      return this
    }
    this.#closed = true
    process.nextTick(() => {
      this.tell('close')
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

  /** Emits an event; `false` when a listener has thrown. That is logged: it must not end everybody's process. */
  tell (event: string, ...details: unknown[]): boolean {
    try {
      this.emit(event, ...details)
      return true
    } catch (error) {
      this.#parts.onError(error, event)
      return false
    }
  }

  /**
   * Offers a request to the listeners. The first of them, which Fastify put there, goes on with it; a listener may have taken its place
   * to answer some requests itself, as socket.io does. `false` when no listener has gone on with it so far.
   */
  offer (raw: IncomingMessage & Offered, rawReply: ServerResponse, goOn: (error?: unknown) => void): boolean {
    let isPassed = false
    const pass = (error?: unknown): void => {
      if (isPassed) return
      isPassed = true
      goOn(error)
    }
    raw[kGoOn] = pass
    try {
      this.emit('request', raw, rawReply)
    } catch (error) {
      this.#parts.onError(error, 'request')
      pass(error)
    }
    return isPassed
  }

  #onRequest (raw: IncomingMessage & Offered, rawReply: ServerResponse): void {
    const goOn = raw[kGoOn]
    if (goOn === undefined) this.#parts.serve(raw as IncomingMessage & { socket: never }, rawReply as never)
    else goOn()
  }
}

/** Makes the stand-ins `instanceof` whatever the app's server is. */
export function inertPrototype (server: Server): object {
  const settings = READ_THROUGH.map(name => [name, {
    configurable: true,
    get: () => Reflect.get(server, name),
    set (this: object, value: unknown) { Object.defineProperty(this, name, { value, writable: true, enumerable: true, configurable: true }) }
  }])
  return Object.create(Object.getPrototypeOf(server), { ...Object.getOwnPropertyDescriptors(TenantServer.prototype), ...Object.fromEntries(settings) })
}
