import type { FastifyInstance } from 'fastify'

type Close = (this: FastifyInstance, done?: () => void) => Promise<undefined> | undefined

/**
 * Wraps the `close()` of a tenant's instance so that it first takes the tenant out of service. Otherwise the registry would pass
 * requests to a closed tenant.
 */
export function closeAfterEnd (close: FastifyInstance['close'], end: () => Promise<void>): FastifyInstance['close'] {
  const closeInstance = close as unknown as Close
  function closeTenant (this: FastifyInstance, done?: () => void): Promise<undefined> | undefined {
    const ended = end().then(() => closeInstance.call(this, done))
    return done === undefined ? ended : undefined
  }
  return closeTenant as FastifyInstance['close']
}
