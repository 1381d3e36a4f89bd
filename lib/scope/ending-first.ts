import type { FastifyInstance } from 'fastify'

type Close = (this: FastifyInstance, done?: () => void) => Promise<undefined> | undefined

/**
 * The `close()` of a tenant's instance: Fastify's own, after the tenant has been taken out of service. Else the tenant would be there,
 * and answer nothing.
 */
export function endingFirst (close: FastifyInstance['close'], end: () => Promise<void>): FastifyInstance['close'] {
  const closeInstance = close as unknown as Close
  function closeTenant (this: FastifyInstance, done?: () => void): Promise<undefined> | undefined {
    const ended = end().then(() => closeInstance.call(this, done))
    return done === undefined ? ended : undefined
  }
  return closeTenant as FastifyInstance['close']
}
