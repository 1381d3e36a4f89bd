import { inspect } from 'node:util'

/**
 * The error that was thrown, or one that says what was thrown instead. A frozen error is wrapped too: loggers and Fastify write on
 * the errors that they are given.
 */
export function asError (thrown: unknown): Error {
  if (thrown instanceof Error) return Object.isExtensible(thrown) ? thrown : new Error(thrown.message, { cause: thrown })
  return new Error(typeof thrown === 'string' ? thrown : `${inspect(thrown, { customInspect: false })} was thrown`, { cause: thrown })
}
