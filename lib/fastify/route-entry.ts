import type { FastifyInstance } from 'fastify'
import type { Internals } from './internals.ts'
import type { RouteHandler } from './shapes.ts'

/**
 * Returns the function with which a Fastify root handles every matched route. Fastify passes it to its 404 module only, so this
 * function replaces a method of that module for one call.
 */
export function routeEntryOf (root: FastifyInstance, internals: Internals): RouteHandler {
  const fourOhFour = internals.get(root, 'fourOhFour')
  const { setNotFoundHandler } = fourOhFour
  let entry: RouteHandler | undefined
  fourOhFour.setNotFoundHandler = (_options, _handler, _avvio, routeHandler) => { entry = routeHandler }
  root.setNotFoundHandler(() => {})
  fourOhFour.setNotFoundHandler = setNotFoundHandler
  return entry as RouteHandler
}
