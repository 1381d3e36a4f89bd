import type { FastifyReply, FastifyRequest } from 'fastify'
import { leaseOf } from './response-lease.ts'
import type { Constructor, RouteContext } from '../fastify/shapes.ts'

const kNoted = Symbol('fastify-multitenant.noted')

type Handler = (this: unknown, request: FastifyRequest, reply: FastifyReply) => unknown
type Then = (this: FastifyReply, ...callbacks: unknown[]) => void

interface Noted { [kNoted]?: boolean }

/** Makes a route note what its handler works on: it may go on after the client has left. */
export function noteHandler (context: RouteContext): void {
  const noted: RouteContext & Noted = context
  // A route with several methods has one context.
  if (noted[kNoted] === true) return
  noted[kNoted] = true
  const handler = context.handler as Handler
  context.handler = function (this: unknown, request: FastifyRequest, reply: FastifyReply): unknown {
    const work = handler.call(this, request, reply)
    leaseOf(reply.raw)?.noteHandler(reply, work)
    return work
  }
}

/** Makes the replies of an app note that a handler waits for them: its promise is settled then when the client leaves, and says nothing of its work. */
export function noteAwaited ({ prototype }: Constructor): void {
  const replies = prototype as { then: Then }
  const { then } = replies
  replies.then = function (...callbacks) {
    const lease = leaseOf(this.raw)
    if (lease !== undefined) lease.awaitsReply = true
    then.apply(this, callbacks)
  }
}
