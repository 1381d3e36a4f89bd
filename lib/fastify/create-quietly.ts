import { channel } from 'node:diagnostics_channel'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'

/**
 * Runs `create` without publishing on the channel `fastify.initialization`. Subscribers, for example tracing, add hooks to each new
 * instance. A tenant inherits those hooks from the app, so they would run twice:
 * https://fastify.dev/docs/latest/Reference/Hooks/#diagnostics-channel-hooks
 */
export function createQuietly<Result> (create: () => Result): Result {
  const initialization = channel('fastify.initialization')
  Object.defineProperty(initialization, 'hasSubscribers', { configurable: true, value: false })
  try {
    return create()
  } finally {
    Reflect.deleteProperty(initialization, 'hasSubscribers')
  }
}

/** Creates an instance with Fastify's default options. It serves only to compare the app with it. */
export function createDefaultFastify (): FastifyInstance {
  return createQuietly(() => Fastify())
}
