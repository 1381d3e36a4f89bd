import type { FastifyRequest } from 'fastify'

/** Whether a browser asks what it may send. It can carry no header, cookie or token that names a tenant. */
export function isPreflight ({ method, headers }: FastifyRequest): boolean {
  return method === 'OPTIONS' && headers.origin !== undefined && headers['access-control-request-method'] !== undefined
}
