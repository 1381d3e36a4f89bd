import { inspect } from 'node:util'

/**
 * Returns a thrown error unchanged, and wraps every other thrown value in an error. A frozen error is wrapped too, because loggers and
 * Fastify add properties to errors.
 */
export function asError (thrown: unknown): Error {
  if (thrown instanceof Error) return Object.isExtensible(thrown) ? thrown : new Error(thrown.message, { cause: thrown })
  return new Error(typeof thrown === 'string' ? thrown : `${inspect(thrown, { customInspect: false })} was thrown`, { cause: thrown })
}
