import type { ServerResponse } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { RouteContext } from '../fastify/shapes.ts'

const kResponding = Symbol('fastify-multitenant.responding')

/** Emitted on a raw response that closed while onResponse hooks ran, when the last of them is through. */
const kResponded = Symbol('fastify-multitenant.responded')

interface Responding { [kResponding]?: boolean }

/** Makes a route note when its onResponse hooks begin: they may go on after the response has closed. */
export function noteOnResponse (context: RouteContext): void {
  context.onResponse?.unshift(onResponse)
}

/** Whether onResponse hooks of a tenant run for this response. */
function isRunningOnResponse (reply: ServerResponse): boolean {
  return (reply as Responding)[kResponding] === true
}

/** Calls `next` when no onResponse hook of a tenant runs for this response any more: at once if none runs. */
export function afterOnResponse (reply: ServerResponse, next: (this: ServerResponse) => void): void {
  if (isRunningOnResponse(reply)) reply.once(kResponded, next)
  else next.call(reply)
}

/** To be called when a response is through with its hooks. */
export function responded (reply: ServerResponse): void {
  if (!isRunningOnResponse(reply)) return
  (reply as Responding)[kResponding] = false
  reply.emit(kResponded)
}

function onResponse (_request: FastifyRequest, reply: FastifyReply, done: () => void): void {
  (reply.raw as Responding)[kResponding] = true
  done()
}
