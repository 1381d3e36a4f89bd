import { channel } from 'node:diagnostics_channel'

/**
 * Runs `create` while nobody hears of new Fastify instances. What subscribers add to each, as tracing does, tenants have from the
 * app already: https://fastify.dev/docs/latest/Reference/Hooks/#diagnostics-channel-hooks
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
