import type { FastifyRequest } from 'fastify'
import { getOuter } from './outer.ts'

/**
 * The app's log controller for what the app hands over: the "incoming request" line was written by the app.
 * Every method stays bound to the app's controller, which may be a class of the user's with private fields.
 */
export function handedOverLogController (controller: Record<string, unknown>): Record<string, unknown> {
  const quiet: Record<string, unknown> = Object.create(controller)
  for (const name of methodNames(controller)) {
    quiet[name] = (controller[name] as () => unknown).bind(controller)
  }
  quiet.incomingRequest = (request: FastifyRequest, ...rest: unknown[]) => {
    if (getOuter(request.raw) !== undefined) return
    const incomingRequest = controller.incomingRequest as (...parameters: unknown[]) => void
    incomingRequest.call(controller, request, ...rest)
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
