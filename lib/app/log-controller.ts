import type { FastifyReply, FastifyRequest } from 'fastify'
import { getAppReply } from './app-reply.ts'
import { responded } from '../leases/responding.ts'

/** What Fastify writes its own lines with. */
export type LogController = Record<string, unknown>

type Method = (...parameters: unknown[]) => unknown
type IncomingRequest = (request: FastifyRequest, reply: FastifyReply) => void

/**
 * The same controller with another answer to `incomingRequest`. Every method stays bound to the controller itself, which may be
 * of a class of the user's with private fields.
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

/** A controller that writes no second line for what the app has handed over. */
export function unlessHandedOver (controller: LogController): LogController {
  return withIncomingRequest(controller, (request, reply) => {
    if (getAppReply(request.raw) === undefined) writeIncoming(controller, request, reply)
  })
}

/** A controller whose "request completed" line tells that the last onResponse hook is through. */
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
