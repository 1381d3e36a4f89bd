import type { IncomingMessage } from 'node:http'
import type { FastifyRequest } from 'fastify'

const kExempt = Symbol('fastify-multitenant.exempt')

interface Exempt { [kExempt]?: boolean }

/**
 * Whether a browser asks what it may send, which can carry no header, cookie or token that names a tenant. Notes that the request
 * lacks what the tenant is proved with: anybody can send what looks like a preflight.
 */
export function exemptPreflight (request: FastifyRequest): boolean {
  if (!isPreflight(request)) return false
  note(request, true)
  return true
}

/** Forgets it: something else names the tenant. */
export function endExemption (request: FastifyRequest): void {
  if (isExempt(request)) note(request, false)
}

/** Whether the request goes on without a proof of its tenant, so that no handler may act on it. */
export function isExempt ({ raw }: FastifyRequest): boolean {
  return raw.method === 'OPTIONS' && (raw as IncomingMessage & Exempt)[kExempt] === true
}

function note ({ raw }: FastifyRequest, exempt: boolean): void {
  const noted: IncomingMessage & Exempt = raw
  noted[kExempt] = exempt
}

function isPreflight ({ method, headers }: FastifyRequest): boolean {
  return method === 'OPTIONS' && headers.origin !== undefined && headers['access-control-request-method'] !== undefined
}
