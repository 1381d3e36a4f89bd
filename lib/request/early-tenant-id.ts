import type { IncomingMessage } from 'node:http'

const kId = Symbol('fastify-multitenant.id')

interface Noted { [kId]?: string }

/** Remembers the tenant that a request named before it was routed, so that the identify hook does not ask the strategy again. */
export function setEarlyTenantId (raw: IncomingMessage, id: string): void {
  (raw as Noted)[kId] = id
}

/** Returns the id that was remembered. */
export function earlyTenantId (raw: IncomingMessage): string | undefined {
  return (raw as Noted)[kId]
}
