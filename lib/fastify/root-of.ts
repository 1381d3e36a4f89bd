import type { FastifyInstance } from 'fastify'

/** Returns the instance that `Fastify()` created. Each other instance inherits from it. */
export function rootOf (app: FastifyInstance): FastifyInstance {
  let root = app
  // The prototype of the root is a plain object, without Fastify's methods.
  for (let parent = Object.getPrototypeOf(root); 'ready' in parent; parent = Object.getPrototypeOf(root)) root = parent
  return root
}
