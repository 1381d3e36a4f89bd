import type { IncomingMessage } from 'node:http'

const kId = Symbol('fastify-multitenant.id')

interface Identified { [kId]?: string }

/** Remembers the tenant that a request named before it was routed, so that the identify hook does not ask the strategy again. */
export function setEarlyTenantId (raw: IncomingMessage, id: string): void {
  (raw as Identified)[kId] = id
}

/** Returns the id that was remembered; `undefined` if there is none. */
export function earlyTenantId (raw: IncomingMessage): string | undefined {
  return (raw as Identified)[kId]
}
