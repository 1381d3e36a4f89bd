import type { FastifyBaseLogger, FastifyReply, FastifyRequest } from 'fastify'
import { isExempt } from '../identification/preflight.ts'
import { leaseOf } from '../leases/response-lease.ts'
import type { ParentApp } from '../app/parent-app.ts'
import type { Lease } from '../leases/lease.ts'
import type { Generation } from '../tenants/generation.ts'

/** Calls the next hook; with an error, the request fails. */
export type Done = (error?: Error) => void

/** Lets the app answer a request: with or without a tenant. */
export class AppAnswer {
  readonly #parent: ParentApp
  /** The log of an app without a logger, which is also the log of each of its requests. */
  readonly #silentLog: FastifyBaseLogger | undefined

  constructor (parent: ParentApp) {
    this.#parent = parent
    this.#silentLog = parent.hasLogger ? undefined : parent.app.log
  }

  /** The onRequest hook of a request that was identified before it reached this route. The app's route answers for the tenant of its lease. */
  readonly resume = (request: FastifyRequest, reply: FastifyReply, done: Done): void => {
    const { generation } = leaseOf(reply.raw) as Lease<Generation>
    this.forTenant(generation, request, reply, done)
  }

  /** Lets the app's own route answer for a tenant. */
  forTenant (generation: Generation, request: FastifyRequest, reply: FastifyReply, done: Done): void {
    // After a rewrite of the URL, this may be another route than the one that was identified. The rule of the route that answers counts.
    if (this.#parent.configOf(request).tenant === 'ignore') return this.goOn(request, reply, done)
    request.tenant = generation.tenant
    this.name(generation.id, request, reply)
    this.goOn(request, reply, done)
  }

  /** Sets `request.tenantId`, and puts it on the log lines. */
  name (id: string, request: FastifyRequest, reply: FastifyReply): void {
    request.tenantId = id
    if (request.log !== this.#silentLog) request.log = reply.log = request.log.child({ tenantId: id })
  }

  /** Lets the app's own route answer. */
  goOn (request: FastifyRequest, reply: FastifyReply, done: Done): void {
    if (isExempt(request)) this.#parent.preflights.bar(request)
    this.#parent.logIncoming(request, reply)
    done()
  }
}
