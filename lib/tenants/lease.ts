import type { ServerResponse } from 'node:http'
import type { Generation } from './generation.ts'

const kLease = Symbol('fastify-multitenant.lease')

interface Leased { [kLease]?: Generation | undefined }

/**
 * Keeps a generation loaded until the raw response closes: not when it has finished, because a stream may go on and
 * the hooks of the response still run then.
 */
export function takeLease (generation: Generation, reply: ServerResponse): void {
  generation.acquire(reply);
  (reply as Leased)[kLease] = generation
  reply.once('close', release)
}

/** The generation that this response keeps loaded. */
export function leaseOf (reply: ServerResponse): Generation | undefined {
  return (reply as Leased)[kLease]
}

/** Whether the client has left, so that the response will not close again. */
export function isClosed (reply: ServerResponse): boolean {
  return reply.destroyed || (reply as { stream?: { destroyed: boolean } }).stream?.destroyed === true
}

function release (this: ServerResponse): void {
  leaseOf(this)?.release(this)
}
