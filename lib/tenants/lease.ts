import type { ServerResponse } from 'node:http'
import { isResponding, kResponded } from '../scope/responding.ts'
import type { Generation } from './generation.ts'

const kLease = Symbol('fastify-multitenant.lease')

interface Leased { [kLease]?: Generation | undefined }

/**
 * Keeps a generation, which has counted the response in, loaded until the response has closed and the tenant's onResponse hooks are
 * through: not only until it has finished, because a stream may go on then. `false` when the client has left already: it will not close again.
 */
export function holdUntilClose (generation: Generation, reply: ServerResponse): boolean {
  if (isClosed(reply)) {
    generation.release(reply)
    return false
  }
  (reply as Leased)[kLease] = generation
  reply.once('close', onClose)
  return true
}

/** The generation that this response keeps loaded. */
export function leaseOf (reply: ServerResponse): Generation | undefined {
  return (reply as Leased)[kLease]
}

function onClose (this: ServerResponse): void {
  if (isResponding(this)) this.once(kResponded, release)
  else release.call(this)
}

function release (this: ServerResponse): void {
  leaseOf(this)?.release(this)
}

/** HTTP/2 responses tell it by their stream. */
function isClosed (reply: ServerResponse): boolean {
  return reply.destroyed || (reply as { stream?: { destroyed: boolean } }).stream?.destroyed === true
}
