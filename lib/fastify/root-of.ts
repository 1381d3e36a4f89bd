import type { FastifyInstance } from 'fastify'

/** The instance that `Fastify()` made: the one that all others are children of. */
export function rootOf (app: FastifyInstance): FastifyInstance {
  let root = app
  // The prototype of the root itself has nothing of Fastify's.
  for (let parent = Object.getPrototypeOf(root); 'ready' in parent; parent = Object.getPrototypeOf(root)) root = parent
  return root
}
