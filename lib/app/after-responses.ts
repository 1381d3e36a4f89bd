import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** Node keeps the response that a socket is at in `_httpMessage`. */
interface Busy { _httpMessage?: ServerResponse | null }

/** The response that the socket is at. */
export function responseOf (socket: Socket): ServerResponse | undefined {
  return (socket as Busy)._httpMessage ?? undefined
}

/**
 * Calls `next` when the responses to what a client has pipelined before are sent: at once when there are none, and never when the
 * connection ends with one of them.
 */
export function afterResponses (socket: Socket, next: () => void): void {
  const response = responseOf(socket)
  if (response === undefined) return next()
  // Node has stopped telling it: an upgrade takes its listeners off the socket.
  const onDrain = (): boolean => response.emit('drain')
  socket.on('drain', onDrain)
  response.once('close', () => {
    socket.removeListener('drain', onDrain)
    if (socket.writable) afterResponses(socket, next)
  })
}
