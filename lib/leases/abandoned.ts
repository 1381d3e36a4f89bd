import type { ServerResponse } from 'node:http'
import type { Readable } from 'node:stream'
import { afterOnResponse } from './responding.ts'
import type { AbandonedWork, Lease } from './lease.ts'

/** A stream that answers. A stream of the old kind cannot be destroyed. */
type Source = Pick<Readable, 'once'> & Partial<Readable>

/**
 * A request whose client left before it was answered. Its handler does not notice, and goes on with what the tenant has opened: it is
 * over when the handler is through and has answered, `timeout` ms after the client left at the latest.
 */
export class Abandoned implements AbandonedWork {
  readonly #lease: Lease
  readonly #reply: ServerResponse
  readonly #timer: NodeJS.Timeout
  /** How many handlers have returned promises that are not settled: a 404 handler may come after that of the route. */
  #pending = 0
  #isOver: boolean

  constructor (lease: Lease, reply: ServerResponse, timeout: number) {
    this.#lease = lease
    this.#reply = reply
    this.#timer = setTimeout(() => this.#giveUp(), timeout).unref()
    this.#isOver = reply.headersSent && !isPiped(reply)
  }

  start (): void {
    this.#noteAnswer()
    if (this.#lease.reply !== undefined) this.handled(this.#lease.work)
  }

  /** To be called when a handler has returned: then it is through, or works on this. */
  handled (work: Promise<unknown> | undefined): void {
    if (work === undefined) return this.#check()
    this.#pending++
    work.then(payload => this.#settled(payload === undefined && !this.#lease.awaitsReply), () => this.#settled(false))
  }

  dispose (): void {
    clearTimeout(this.#timer)
  }

  /** A generation that ends waits for its requests itself, and reports those that it gives up. */
  #giveUp (): void {
    if (this.#lease.generation.active) this.#lease.release()
  }

  /** @param isOver whether Fastify sends nothing, because the handler came to nothing and the client is gone */
  #settled (isOver: boolean): void {
    this.#pending--
    this.#isOver ||= isOver
    this.#check()
  }

  /** Fastify answers as ever, when the hooks are through that may still use the tenant. What fails in them ends in `destroy()`. */
  #noteAnswer (): void {
    const reply = this.#reply
    const answered = (): void => {
      this.#isOver = true
      // The onResponse hooks begin when the response has noticed that nobody is there.
      setImmediate(() => this.#check())
    }
    // One that has begun is taken off the response as soon as that closes.
    reply.once('unpipe', (source: Source) => this.#follow(source))
    reply.once('pipe', (source: Source) => {
      // Fastify does not see that a response has closed that waited in a queue.
      source.destroy?.()
      this.#follow(source)
    })
    for (const name of ['writeHead', 'end', 'destroy'] as const) {
      const method = reply[name] as (...parameters: unknown[]) => never
      reply[name] = (...parameters: unknown[]) => {
        answered()
        return Reflect.apply(method, reply, parameters)
      }
    }
  }

  /** A stream that answers is over when it has closed: a generator behind it first comes to the end of its step. */
  #follow (source: Source): void {
    this.#isOver = true
    this.#pending++
    const through = (): void => {
      this.#pending--
      this.#check()
    }
    // Fastify has destroyed it by then. One that it does not know of is its handler's own.
    setImmediate(() => {
      if (source.destroyed === true && source.closed !== true) source.once('close', through)
      else through()
    })
  }

  #check (): void {
    // A reply that was hijacked is its handler's own: nothing else says that it is over.
    if (this.#pending > 0 || !(this.#isOver || this.#lease.reply?.sent === true)) return
    afterOnResponse(this.#reply, () => this.#lease.release())
  }
}

/** Whether a stream has begun to answer. */
function isPiped (reply: ServerResponse): boolean {
  return reply.listenerCount('unpipe') > 0
}
