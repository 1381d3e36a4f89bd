import type { FastifyInstance } from 'fastify'
import type { Internals } from './internals.ts'

/** Returns the children of an instance, and their children. */
export function descendantsOf (instance: FastifyInstance, internals: Internals): FastifyInstance[] {
  return internals.get(instance, 'children').flatMap(child => [child, ...descendantsOf(child, internals)])
}
