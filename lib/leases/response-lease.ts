import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { afterOnResponse } from './responding.ts'
import { Abandoned } from './abandoned.ts'
import { closeForgotten, isHttp2 } from './http2-streams.ts'
import type { Lease } from './lease.ts'

const kLease = Symbol('fastify-multitenant.lease')
const kQueued = Symbol('fastify-multitenant.queued')

interface Leased { [kLease]?: Lease }
interface Queueing { [kQueued]: Set<ServerResponse> }

/**
 * Releases the lease when the response has closed and the tenant's onResponse hooks are through: not when it has finished, because a
 * stream may go on then. Where the client leaves first, it also waits for the handler. `false` when the client has left already, so that it will not close again: the lease is released.
 */
export function holdUntilClose (lease: Lease, reply: ServerResponse): boolean {
  if (isClosed(reply)) {
    lease.release()
    return false
  }
  (reply as Leased)[kLease] = lease
  reply.on('close', onClose)
  if (isHttp2(reply)) {
    reply.on('finish', onFinish)
    closeForgotten(reply, lease.generation.drainTimeout)
  }
  if (isQueued(reply)) closeWithConnection(reply)
  return true
}

/** The lease that ends with this response. */
export function leaseOf (reply: ServerResponse): Lease | undefined {
  return (reply as Leased)[kLease]
}

function onClose (this: ServerResponse): void {
  if (!this.writableEnded) abandon(this)
  else afterOnResponse(this, release)
}

/** HTTP/2 responses finish before they close, when their client leaves too. A stream that answers is taken off then. */
function onFinish (this: ServerResponse): void {
  if (!this.writableEnded) abandon(this)
}

function abandon (reply: ServerResponse): void {
  const lease = leaseOf(reply) as Lease
  if (lease.released || lease.abandoned !== undefined) return
  const abandoned = new Abandoned(lease, reply, lease.generation.drainTimeout)
  lease.abandoned = abandoned
  abandoned.start()
}

function release (this: ServerResponse): void {
  leaseOf(this)?.release()
}

/** Whether the client has left, or is answered. HTTP/2 responses tell it by their stream, those that wait in a queue by their connection. */
export function isClosed (reply: ServerResponse): boolean {
  if (reply.destroyed || (reply as { stream?: { destroyed: boolean } }).stream?.destroyed === true) return true
  return isQueued(reply) && reply.req.socket.destroyed
}

/** Whether the request was pipelined, so that its response waits for those before it. */
function isQueued (reply: ServerResponse): boolean {
  return reply.socket === null
}

/** Node before 24 does not tell a response that waits in the queue when its client leaves. */
function closeWithConnection (reply: ServerResponse): void {
  const socket = reply.req.socket as Socket & Queueing
  if (!Object.hasOwn(socket, kQueued)) {
    socket[kQueued] = new Set()
    socket.once('close', closeQueue)
  }
  socket[kQueued].add(reply)
  reply.once('close', leaveQueue)
}

/** One listener for the whole queue: a client may send any number of requests at once. */
function closeQueue (this: Socket & Queueing): void {
  this[kQueued].forEach(reply => reply.emit('close'))
}

function leaveQueue (this: ServerResponse): void {
  (this.req.socket as Socket & Queueing)[kQueued].delete(this)
}
