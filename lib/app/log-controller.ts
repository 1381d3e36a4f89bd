import type { FastifyReply, FastifyRequest } from 'fastify'
import { getAppReply } from './app-reply.ts'
import { responded } from '../leases/on-response-end.ts'

/** Writes Fastify's own log lines. */
export type LogController = Record<string, unknown>

type Method = (...parameters: unknown[]) => unknown
type IncomingRequest = (request: FastifyRequest, reply: FastifyReply) => void

/**
 * Returns the same controller with another `incomingRequest`. Every method stays bound to the controller itself, whose class may be the
 * user's and have private fields.
 */
export function withIncomingRequest (controller: LogController, incomingRequest: IncomingRequest): LogController {
  const changed: LogController = Object.create(controller)
  for (const name of methodNames(controller)) changed[name] = (controller[name] as Method).bind(controller)
  changed.incomingRequest = incomingRequest
  return changed
}

/** Writes the "incoming request" line. */
export function writeIncoming (controller: LogController, request: FastifyRequest, reply: FastifyReply): void {
  (controller.incomingRequest as Method).call(controller, request, reply)
}

/** Returns a controller that writes no second line for handed-over requests. */
export function unlessHandedOver (controller: LogController): LogController {
  return withIncomingRequest(controller, (request, reply) => {
    if (getAppReply(request.raw) === undefined) writeIncoming(controller, request, reply)
  })
}

/** Returns a controller that reports the end of the last onResponse hook when it writes the "request completed" line. */
export function withCompletion (controller: LogController): LogController {
  const changed = withIncomingRequest(controller, (request, reply) => writeIncoming(controller, request, reply))
  changed.requestCompleted = (error: unknown, request: FastifyRequest, reply: FastifyReply) => {
    (controller.requestCompleted as Method).call(controller, error, request, reply)
    responded(reply.raw)
  }
  return changed
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
