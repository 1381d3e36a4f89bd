import type { FastifyReply } from 'fastify'
import type { DrainReport, Tenant } from '../../types/index.ts'

/** The user of a generation: a raw response or a job. */
export interface Holder {
  statusCode?: number
  req: { method?: string | undefined, url?: string | undefined, originalUrl?: string }
  destroy (): unknown
}

/** A generation that leases keep loaded. */
export interface LeaseOwner {
  /** Whether it takes requests. */
  readonly active: boolean
  /** How long a request may go on after its client has left, in ms. */
  readonly drainTimeout: number
  readonly leases: { release (lease: Lease): void }
  /** The tenant of its requests. */
  readonly tenant: Tenant
  /** Called when the first request or job begins. */
  onBusy (): void
  /** Called when the last request or job has ended. */
  onIdle (): void
}

/** A request that goes on after its client has left. */
export interface AbortedWork {
  /** Call this when a handler has returned, with its promise if it returned one. */
  onHandlerReturned (work: Promise<unknown> | undefined): void
  dispose (): void
}

/** Keeps a generation loaded until it is released. The leases of a generation form a linked list, because a `Set` or `Map` would cost more on each request. */
export class Lease<Owner extends LeaseOwner = LeaseOwner> {
  readonly generation: Owner
  readonly holder: Holder
  /** By `performance.now()`, in ms. */
  readonly since: number
  previous: Lease<Owner> | undefined
  next: Lease<Owner> | undefined
  /** The reply of the handler that was called last. */
  reply: FastifyReply | undefined
  /** The promise that this handler returned. */
  work: Promise<unknown> | undefined
  /** Whether this handler awaits its own reply. */
  awaitsReply = false
  /** Set when the client has left. */
  aborted: AbortedWork | undefined
  #released = false

  /** @param previous the lease that was taken before this one */
  constructor (generation: Owner, holder: Holder, since: number, previous: Lease<Owner> | undefined) {
    this.generation = generation
    this.holder = holder
    this.since = since
    this.previous = previous
  }

  get released (): boolean {
    return this.#released
  }

  /** Call this when a handler has returned. */
  noteHandler (reply: FastifyReply, work: unknown): void {
    this.reply = reply
    // Only promises: calling `then()` of another thenable may start its work again, for example the query of a query builder.
    this.work = work instanceof Promise ? work : undefined
    this.aborted?.onHandlerReturned(this.work)
  }

  /** A second call does nothing. */
  release (): void {
    if (this.#released) return
    this.#released = true
    this.aborted?.dispose()
    this.reply = this.work = undefined
    this.generation.leases.release(this)
  }

  /** The entry in a drain report if this lease was not released in time. */
  describe (): DrainReport['forced'][number] {
    const { method, url, originalUrl = url } = this.holder.req
    return { method: method as string, url: originalUrl as string, ms: Math.round(performance.now() - this.since) }
  }
}
