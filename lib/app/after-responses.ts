import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** A socket of Node's HTTP server: `_httpMessage` is the response that is being sent on it. */
interface BusySocket { _httpMessage?: ServerResponse | null }

/** Returns the response that is being sent on a socket. */
export function responseOf (socket: Socket): ServerResponse | undefined {
  return (socket as BusySocket)._httpMessage ?? undefined
}

/**
 * Calls `next` when the responses to all earlier pipelined requests have been sent: at once if there are none, and never if the
 * connection ends first.
 */
export function afterResponses (socket: Socket, next: () => void): void {
  const response = responseOf(socket)
  if (response === undefined) return next()
  // Node no longer emits 'drain' on the response: an upgrade removes Node's listeners from the socket.
  const onDrain = (): boolean => response.emit('drain')
  socket.on('drain', onDrain)
  response.once('close', () => {
    socket.removeListener('drain', onDrain)
    if (socket.writable) afterResponses(socket, next)
  })
}
