import type { IncomingMessage } from 'node:http'

const kId = Symbol('fastify-multitenant.id')

interface Noted { [kId]?: string }

/** Notes the tenant that a request named before it was routed, so that the hook need not ask once more. */
export function setEarlyTenantId (raw: IncomingMessage, id: string): void {
  (raw as Noted)[kId] = id
}

/** The id that was noted. */
export function earlyTenantId (raw: IncomingMessage): string | undefined {
  return (raw as Noted)[kId]
}
