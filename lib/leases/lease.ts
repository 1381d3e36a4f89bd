import type { FastifyReply } from 'fastify'
import type { DrainReport } from '../../types/index.ts'

/** Who needs a generation: a raw response, or a job. */
export interface Holder {
  statusCode?: number
  req: { method?: string | undefined, url?: string | undefined, originalUrl?: string }
  destroy (): unknown
}

/** A generation that leases keep loaded. */
export interface LeaseOwner {
  /** Whether it takes requests. */
  readonly active: boolean
  /** The longest that a request goes on after its client has left, in ms. */
  readonly drainTimeout: number
  readonly leases: { release (lease: Lease): void }
}

/** The work that goes on after a client has left. */
export interface AbandonedWork {
  /** Call this when a handler has returned. */
  handled (work: Promise<unknown> | undefined): void
  dispose (): void
}

/** Keeps a generation loaded until it is released. The leases of a generation are a linked list: on each request a map of them would be rehashed. */
export class Lease<Owner extends LeaseOwner = LeaseOwner> {
  readonly generation: Owner
  readonly holder: Holder
  /** ms, by a clock that nobody sets */
  readonly since: number
  previous: Lease<Owner> | undefined
  next: Lease<Owner> | undefined
  /** The reply of the handler that has been called last. */
  reply: FastifyReply | undefined
  /** The promise that it returned. */
  work: Promise<unknown> | undefined
  /** Whether it waits for its own reply. */
  awaitsReply = false
  /** There when the client has left. */
  abandoned: AbandonedWork | undefined
  #released = false

  constructor (generation: Owner, holder: Holder, since: number) {
    this.generation = generation
    this.holder = holder
    this.since = since
  }

  get released (): boolean {
    return this.#released
  }

  /** To be called when a handler has returned. */
  noteHandler (reply: FastifyReply, work: unknown): void {
    this.reply = reply
    // To call the `then` of anything else may begin its work once more: a query builder's, say.
    this.work = work instanceof Promise ? work : undefined
    this.abandoned?.handled(this.work)
  }

  /** A second time is of no account. */
  release (): void {
    if (this.#released) return
    this.#released = true
    this.abandoned?.dispose()
    this.reply = this.work = undefined
    this.generation.leases.release(this)
  }

  /** What a drain says of it when it did not end in time. */
  describe (): DrainReport['forced'][number] {
    const { method, url, originalUrl = url } = this.holder.req
    return { method: method as string, url: originalUrl as string, ms: Math.round(performance.now() - this.since) }
  }
}
