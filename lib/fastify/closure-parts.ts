import type { FastifyInstance } from 'fastify'
import type { Internals } from './internals.ts'
import type { Boot, RouteHandler } from './shapes.ts'

/** The parts of a Fastify root that Fastify keeps in closures. */
export interface ClosureParts {
  /** Handles every matched route. */
  entry: RouteHandler
  /** Loads the plugins of the root, and runs its ready and close hooks. */
  boot: Boot
}

/**
 * Returns the function with which a Fastify root handles every matched route, and the avvio object that boots the root. Fastify passes
 * them to its 404 module only, so this function replaces a method of that module for one call. Call it before the root boots.
 */
export function closurePartsOf (root: FastifyInstance, internals: Internals): ClosureParts {
  const fourOhFour = internals.get(root, 'fourOhFour')
  const { setNotFoundHandler } = fourOhFour
  let parts: ClosureParts | undefined
  fourOhFour.setNotFoundHandler = (_options, _handler, boot, entry) => { parts = { entry, boot } }
  root.setNotFoundHandler(() => {})
  fourOhFour.setNotFoundHandler = setNotFoundHandler
  return parts as ClosureParts
}
