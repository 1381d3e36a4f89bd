import type { ServerResponse } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { RouteContext } from '../fastify/shapes.ts'

const kResponding = Symbol('fastify-multitenant.responding')

/** Emitted on a raw response when its last onResponse hook has ended. */
const kResponded = Symbol('fastify-multitenant.responded')

interface Responding { [kResponding]?: boolean }

/** Makes a route mark the response when its onResponse hooks begin. They may go on after the response has closed. */
export function noteOnResponse (context: RouteContext): void {
  context.onResponse?.unshift(onResponse)
}

/** Whether a tenant's onResponse hooks run for this response. */
function isRunningOnResponse (reply: ServerResponse): boolean {
  return (reply as Responding)[kResponding] === true
}

/** Calls `next` when no onResponse hook of a tenant runs for this response: at once if none runs now. */
export function afterOnResponse (reply: ServerResponse, next: (this: ServerResponse) => void): void {
  if (isRunningOnResponse(reply)) reply.once(kResponded, next)
  else next.call(reply)
}

/** Call this when the onResponse hooks of a response have ended. */
export function responded (reply: ServerResponse): void {
  if (!isRunningOnResponse(reply)) return
  (reply as Responding)[kResponding] = false
  reply.emit(kResponded)
}

function onResponse (_request: FastifyRequest, reply: FastifyReply, done: () => void): void {
  (reply.raw as Responding)[kResponding] = true
  done()
}
