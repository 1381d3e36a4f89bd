import type { FastifyInstance } from 'fastify'

type Close = (this: FastifyInstance, done?: () => void) => Promise<undefined> | undefined

/**
 * Wraps the `close()` of a tenant's instance so that it first takes the tenant out of service. Otherwise the registry would pass
 * requests to a closed tenant.
 * @param end returns whether the instance is closed then
 */
export function closeAfterEnd (close: FastifyInstance['close'], end: () => Promise<boolean>): FastifyInstance['close'] {
  const closeInstance = close as unknown as Close
  function closeTenant (this: FastifyInstance, done?: () => void): Promise<undefined> | undefined {
    const ended = end().then(isClosing => {
      if (isClosing) return closeInstance.call(this, done)
      done?.()
    })
    return done === undefined ? ended : undefined
  }
  return closeTenant as FastifyInstance['close']
}
