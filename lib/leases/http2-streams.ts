import type { ServerResponse } from 'node:http'
import { constants } from 'node:http2'
import type { Http2ServerResponse, Http2Session } from 'node:http2'

const kHeld = Symbol('fastify-multitenant.held')

interface Holding { [kHeld]?: Set<Http2ServerResponse> }

/** With a `drainTimeout` of 0 the timer would do nothing else, in ms. */
const SHORTEST = 20
/** How the protocol sees a stream that it has forgotten. */
const FORGOTTEN = new Set<number | undefined>([constants.NGHTTP2_STREAM_STATE_IDLE, constants.NGHTTP2_STREAM_STATE_CLOSED])

export function isHttp2 (reply: ServerResponse | Http2ServerResponse): reply is Http2ServerResponse {
  return 'stream' in reply
}

/**
 * Sees to it that an HTTP/2 response closes. Node does not close one that the client has reset without an error code while something
 * of it was not sent, nor then the session of a client that says that it goes: both would be there for ever, and with them the lease.
 * @param interval how often is looked for such responses, in ms
 */
export function closeForgotten (reply: Http2ServerResponse, interval: number): void {
  const session = reply.stream.session as Http2Session & Holding
  const held = session[kHeld] ??= watch(session, interval)
  held.add(reply)
  reply.once('close', () => held.delete(reply))
}

/** One timer for the session: a client may send any number of requests at once. */
function watch (session: Http2Session, interval: number): Set<Http2ServerResponse> {
  const held = new Set<Http2ServerResponse>()
  const timer = setInterval(() => held.forEach(endForgotten), Math.max(SHORTEST, interval)).unref()
  session.once('close', () => clearInterval(timer))
  return held
}

function endForgotten ({ stream }: Http2ServerResponse): void {
  if (FORGOTTEN.has(stream.state.state)) stream.destroy()
}
