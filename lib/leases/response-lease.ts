import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { AbortedRequest } from './aborted-request.ts'
import { closeForgotten, isHttp2 } from './http2-streams.ts'
import { afterOnResponse } from './on-response-end.ts'
import { setRequestTenant } from './request-tenant.ts'
import type { Lease } from './lease.ts'

const kLease = Symbol('fastify-multitenant.lease')
const kQueued = Symbol('fastify-multitenant.queued')

interface Leased { [kLease]?: Lease }
interface Queueing { [kQueued]: Set<ServerResponse> }

/**
 * Releases the lease when the response has closed and the tenant's onResponse hooks have ended. The 'finish' event would be too early, because
 * a stream may go on after it. If the client leaves early, the lease also waits for the handler. Returns `false` and releases the lease at once
 * if the client has left already, because then no 'close' event follows.
 */
export function holdUntilClose (lease: Lease, reply: ServerResponse): boolean {
  if (isClosed(reply)) {
    lease.release()
    return false
  }
  (reply as Leased)[kLease] = lease
  setRequestTenant(reply.req, lease.generation.tenant)
  reply.on('close', onClose)
  if (isHttp2(reply)) {
    reply.on('finish', onFinish)
    closeForgotten(reply, lease.generation.drainTimeout)
  } else if (isQueued(reply)) {
    closeWithConnection(reply)
  }
  return true
}

/** The lease that ends with this response. */
export function leaseOf (reply: ServerResponse): Lease | undefined {
  return (reply as Leased)[kLease]
}

function onClose (this: ServerResponse): void {
  if (!this.writableEnded) onAborted(this)
  else afterOnResponse(this, release)
}

/** An HTTP/2 response finishes before it closes, even when its client leaves. Node then detaches the stream that is piped into it. */
function onFinish (this: ServerResponse): void {
  if (!this.writableEnded) onAborted(this)
}

function onAborted (reply: ServerResponse): void {
  const lease = leaseOf(reply) as Lease
  if (lease.released || lease.aborted !== undefined) return
  const aborted = new AbortedRequest(lease, reply, lease.generation.drainTimeout)
  lease.aborted = aborted
  aborted.start()
}

function release (this: ServerResponse): void {
  leaseOf(this)?.release()
}

/** Whether the response is sent or its client has left. An HTTP/2 response shows this on its stream, a queued response on its connection. */
export function isClosed (reply: ServerResponse): boolean {
  if (reply.destroyed || (reply as { stream?: { destroyed: boolean } }).stream?.destroyed === true) return true
  return isQueued(reply) && reply.req.socket.destroyed
}

/** Whether the request was pipelined and its response waits for those before it. */
function isQueued (reply: ServerResponse): boolean {
  return reply.socket === null
}

/** Before Node 24, a queued response emits no 'close' event when its client leaves. */
function closeWithConnection (reply: ServerResponse): void {
  const socket = reply.req.socket as Socket & Queueing
  if (!Object.hasOwn(socket, kQueued)) {
    socket[kQueued] = new Set()
    socket.once('close', closeQueue)
  }
  socket[kQueued].add(reply)
  reply.once('close', leaveQueue)
}

/** One listener per connection and not per response, because a client may pipeline any number of requests. */
function closeQueue (this: Socket & Queueing): void {
  this[kQueued].forEach(reply => reply.emit('close'))
}

function leaveQueue (this: ServerResponse): void {
  (this.req.socket as Socket & Queueing)[kQueued].delete(this)
}
