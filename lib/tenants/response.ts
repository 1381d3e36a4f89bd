import type { ServerResponse } from 'node:http'
import { isResponding, kResponded } from '../scope/responding.ts'
import type { Lease } from './lease.ts'

const kLease = Symbol('fastify-multitenant.lease')

interface Leased { [kLease]?: Lease }

/**
 * Releases the lease when the response has closed and the tenant's onResponse hooks are through: not when it has finished, because a
 * stream may go on then. `false` when the client has left already, so that it will not close again: the lease is released.
 */
export function holdUntilClose (lease: Lease, reply: ServerResponse): boolean {
  if (isClosed(reply)) {
    lease.release()
    return false
  }
  (reply as Leased)[kLease] = lease
  reply.on('close', onClose)
  return true
}

/** The lease that ends with this response. */
export function leaseOf (reply: ServerResponse): Lease | undefined {
  return (reply as Leased)[kLease]
}

function onClose (this: ServerResponse): void {
  if (isResponding(this)) this.once(kResponded, release)
  else release.call(this)
}

function release (this: ServerResponse): void {
  leaseOf(this)?.release()
}

/** HTTP/2 responses tell it by their stream. */
function isClosed (reply: ServerResponse): boolean {
  return reply.destroyed || (reply as { stream?: { destroyed: boolean } }).stream?.destroyed === true
}
