import type { FastifyReply, FastifyRequest } from 'fastify'
import { leaseOf } from './response-lease.ts'
import type { Constructor, RouteContext } from '../fastify/shapes.ts'

const kObserved = Symbol('fastify-multitenant.observed')

type Handler = (this: unknown, request: FastifyRequest, reply: FastifyReply) => unknown
type Then = (this: FastifyReply, ...callbacks: unknown[]) => void

interface Observed { [kObserved]?: boolean }

/** Makes a route tell the lease of each request what its handler returns. The handler may go on after the client has left. */
export function noteHandler (context: RouteContext): void {
  const observed: RouteContext & Observed = context
  // Several routes share one context if they were registered for several methods at once.
  if (observed[kObserved] === true) return
  observed[kObserved] = true
  const handler = context.handler as Handler
  context.handler = function (this: unknown, request: FastifyRequest, reply: FastifyReply): unknown {
    const work = handler.call(this, request, reply)
    leaseOf(reply.raw)?.noteHandler(reply, work)
    return work
  }
}

/** Makes the replies of an app tell the lease when a handler awaits its reply. Fastify resolves an awaited reply when the client leaves, although the handler may go on. */
export function noteAwaited ({ prototype }: Constructor): void {
  const replies = prototype as { then: Then }
  const { then } = replies
  replies.then = function (...callbacks) {
    const lease = leaseOf(this.raw)
    if (lease !== undefined) lease.awaitsReply = true
    then.apply(this, callbacks)
  }
}
