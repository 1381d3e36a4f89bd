import type { ServerResponse } from 'node:http'
import type { Readable } from 'node:stream'
import { afterOnResponse } from './on-response-end.ts'
import type { AbortedWork, Lease } from './lease.ts'

/** A stream that is piped into a response. A legacy stream cannot be destroyed. */
type Source = Pick<Readable, 'once'> & Partial<Readable>

/**
 * A request whose client left before the response was sent. Its handler does not notice and goes on using the tenant. Releases the lease when
 * the handler has returned and replied, but no later than `timeout` ms after the client left.
 */
export class AbortedRequest implements AbortedWork {
  readonly #lease: Lease
  readonly #reply: ServerResponse
  readonly #timer: NodeJS.Timeout
  /** How many promises of handlers are not settled. A route's handler may call the 404 handler, so there may be two. */
  #pending = 0
  #hasReplied: boolean

  constructor (lease: Lease, reply: ServerResponse, timeout: number) {
    this.#lease = lease
    this.#reply = reply
    this.#timer = setTimeout(() => this.#giveUp(), timeout).unref()
    this.#hasReplied = reply.headersSent && !isPiped(reply)
  }

  start (): void {
    this.#watchReply()
    if (this.#lease.reply !== undefined) this.onHandlerReturned(this.#lease.work)
  }

  onHandlerReturned (work: Promise<unknown> | undefined): void {
    if (work === undefined) return this.#releaseIfOver()
    this.#pending++
    work.then(payload => this.#onWorkSettled(payload === undefined && !this.#lease.awaitsReply), () => this.#onWorkSettled(false))
  }

  dispose (): void {
    clearTimeout(this.#timer)
  }

  /** Does nothing if the generation drains: a drain waits for its requests itself, and reports those that it ends by force. */
  #giveUp (): void {
    if (this.#lease.generation.active) this.#lease.release()
  }

  /** @param sendsNothing whether Fastify sends no response because the handler resolved to `undefined` and the client has left */
  #onWorkSettled (sendsNothing: boolean): void {
    this.#pending--
    this.#hasReplied ||= sendsNothing
    this.#releaseIfOver()
  }

  /**
   * Fastify sends the response even if the client has left, after the hooks that may still use the tenant. It calls `destroy()` when one of
   * these hooks fails.
   */
  #watchReply (): void {
    const reply = this.#reply
    const onReplied = (): void => {
      this.#hasReplied = true
      // The onResponse hooks begin a moment later, when the response notices that its client has left.
      setImmediate(() => this.#releaseIfOver())
    }
    // Node detaches the stream from the response as soon as that closes.
    reply.once('unpipe', (source: Source) => this.#follow(source))
    reply.once('pipe', (source: Source) => {
      // Fastify does not notice that a pipelined response has closed before its turn.
      source.destroy?.()
      this.#follow(source)
    })
    for (const name of ['writeHead', 'end', 'destroy'] as const) {
      const method = reply[name] as (...parameters: unknown[]) => never
      reply[name] = (...parameters: unknown[]) => {
        onReplied()
        return Reflect.apply(method, reply, parameters)
      }
    }
  }

  /** Waits until the stream has closed: a generator behind it first finishes its current step. */
  #follow (source: Source): void {
    this.#hasReplied = true
    this.#pending++
    const onClosed = (): void => {
      this.#pending--
      this.#releaseIfOver()
    }
    // Fastify destroys the streams that it sends. After `reply.hijack()`, the handler must do so.
    setImmediate(() => {
      if (source.destroyed === true && source.closed !== true) source.once('close', onClosed)
      else onClosed()
    })
  }

  #releaseIfOver (): void {
    // After `reply.hijack()`, only the end of the handler shows that the request is over.
    if (this.#pending > 0 || !(this.#hasReplied || this.#lease.reply?.sent === true)) return
    afterOnResponse(this.#reply, () => this.#lease.release())
  }
}

/** Whether a stream is piped into the response. */
function isPiped (reply: ServerResponse): boolean {
  return reply.listenerCount('unpipe') > 0
}
