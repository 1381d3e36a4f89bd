import type { FastifyReply, FastifyRequest } from 'fastify'
import { getOuter } from './outer.ts'
import { responded } from './responding.ts'

type Method = (...parameters: unknown[]) => unknown

/**
 * The app's log controller for what the app hands over: the "incoming request" line was written by the app, and the
 * "request completed" line tells that the last onResponse hook is through.
 * Every method stays bound to the app's controller, which may be a class of the user's with private fields.
 */
export function handedOverLogController (controller: Record<string, unknown>): Record<string, unknown> {
  const quiet: Record<string, unknown> = Object.create(controller)
  const call = (name: string, ...parameters: unknown[]): unknown => (controller[name] as Method).apply(controller, parameters)
  for (const name of methodNames(controller)) quiet[name] = (controller[name] as Method).bind(controller)
  quiet.requestCompleted = (error: unknown, request: FastifyRequest, reply: FastifyReply, ...rest: unknown[]) => {
    call('requestCompleted', error, request, reply, ...rest)
    responded(reply.raw)
  }
  quiet.incomingRequest = (request: FastifyRequest, ...rest: unknown[]) => {
    if (getOuter(request.raw) !== undefined) return
    call('incomingRequest', request, ...rest)
  }
  return quiet
}

function methodNames (controller: object): Set<string> {
  const names = new Set<string>()
  for (let object = controller; object !== Object.prototype; object = Object.getPrototypeOf(object)) {
    for (const [name, property] of Object.entries(Object.getOwnPropertyDescriptors(object))) {
      if (typeof property.value === 'function' && name !== 'constructor') names.add(name)
    }
  }
  return names
}
