import type { ServerResponse } from 'node:http'
import type { Generation } from './generation.ts'

const kLease = Symbol('fastify-multitenant.lease')

interface Leased { [kLease]?: Generation | undefined }

/**
 * Keeps a generation, which has counted the response in, loaded until the response closes: not when it has finished, because a
 * stream may go on and the hooks of the response still run then. `false` when the client has left already: it will not close again.
 */
export function holdUntilClose (generation: Generation, reply: ServerResponse): boolean {
  if (isClosed(reply)) {
    generation.release(reply)
    return false
  }
  (reply as Leased)[kLease] = generation
  reply.once('close', release)
  return true
}

/** The generation that this response keeps loaded. */
export function leaseOf (reply: ServerResponse): Generation | undefined {
  return (reply as Leased)[kLease]
}

function release (this: ServerResponse): void {
  leaseOf(this)?.release(this)
}

/** HTTP/2 responses tell it by their stream. */
function isClosed (reply: ServerResponse): boolean {
  return reply.destroyed || (reply as { stream?: { destroyed: boolean } }).stream?.destroyed === true
}
