import type { FastifyBaseLogger } from 'fastify'

/**
 * A tenant's logger, which shows the methods that write lines as its own, as the app's logger does: plugins look there for a level,
 * @fastify/bearer-auth does. What it is asked to do, and what is set on it, reaches the logger itself, which requests log with.
 */
export function tenantLogger (log: FastifyBaseLogger, appLog: FastifyBaseLogger): FastifyBaseLogger {
  if (!Object.prototype.isPrototypeOf.call(appLog, log)) return log
  return new Proxy(log, {
    getOwnPropertyDescriptor: (target, name) => Reflect.getOwnPropertyDescriptor(target, name) ?? Reflect.getOwnPropertyDescriptor(appLog, name),
    set: (target, name, value) => Reflect.set(target, name, value)
  })
}
