import type { ServerResponse } from 'node:http'
import { constants } from 'node:http2'
import type { Http2ServerResponse, Http2Session } from 'node:http2'

const kHeld = Symbol('fastify-multitenant.held')

interface Holding { [kHeld]?: Set<Http2ServerResponse> }

/** The shortest time between two searches, in ms. A `drainTimeout` of 0 would otherwise search all the time. */
const SHORTEST_INTERVAL = 20
/** The protocol states of a stream that the HTTP/2 session no longer knows. */
const FORGOTTEN = new Set<number | undefined>([constants.NGHTTP2_STREAM_STATE_IDLE, constants.NGHTTP2_STREAM_STATE_CLOSED])

export function isHttp2 (reply: ServerResponse | Http2ServerResponse): reply is Http2ServerResponse {
  return 'stream' in reply
}

/**
 * Closes an HTTP/2 response that Node leaves open because its client has reset the stream without an error code before all of it was
 * sent. Otherwise the response and its lease would stay open forever, and so would the session of a client that sends GOAWAY.
 * @param interval the time between two searches for such responses, in ms
 */
export function closeForgotten (reply: Http2ServerResponse, interval: number): void {
  const session = reply.stream.session as Http2Session & Holding
  const held = session[kHeld] ??= watch(session, interval)
  held.add(reply)
  reply.once('close', () => held.delete(reply))
}

/** One timer per session and not per response, because a client may send any number of requests at once. */
function watch (session: Http2Session, interval: number): Set<Http2ServerResponse> {
  const held = new Set<Http2ServerResponse>()
  const timer = setInterval(() => held.forEach(endForgotten), Math.max(SHORTEST_INTERVAL, interval)).unref()
  session.once('close', () => clearInterval(timer))
  return held
}

function endForgotten ({ stream }: Http2ServerResponse): void {
  if (FORGOTTEN.has(stream.state.state)) stream.destroy()
}
