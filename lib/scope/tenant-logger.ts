import type { FastifyBaseLogger } from 'fastify'

/**
 * Wraps a tenant's child logger so that its level methods look like own properties, as the app's logger has them:
 * @fastify/bearer-auth checks for that. All reads and writes go to the wrapped logger, except writes to a child of it, which inherits from the proxy.
 */
export function tenantLogger (log: FastifyBaseLogger, appLog: FastifyBaseLogger): FastifyBaseLogger {
  if (!Object.prototype.isPrototypeOf.call(appLog, log)) return log
  const proxy: FastifyBaseLogger = new Proxy(log, {
    getOwnPropertyDescriptor: (target, name) => Reflect.getOwnPropertyDescriptor(target, name) ?? Reflect.getOwnPropertyDescriptor(appLog, name),
    set: (target, name, value, receiver) => Reflect.set(target, name, value, receiver === proxy ? target : receiver)
  })
  return proxy
}
