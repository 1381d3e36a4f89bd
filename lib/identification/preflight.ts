import type { IncomingMessage } from 'node:http'
import type { FastifyRequest } from 'fastify'

const kExempt = Symbol('fastify-multitenant.exempt')

interface Exempt { [kExempt]?: boolean }

/**
 * Returns whether the request is a CORS preflight, which cannot carry a header, cookie or token that names a tenant. If so, marks the
 * request as exempt: its tenant is unproved, because any client can send a request that looks like a preflight.
 */
export function exemptPreflight (request: FastifyRequest): boolean {
  if (!isPreflight(request)) return false
  mark(request, true)
  return true
}

/** Removes the mark. Call this when something else has named the tenant. */
export function endExemption (request: FastifyRequest): void {
  if (isExempt(request)) mark(request, false)
}

/** Returns whether the request is exempt: its tenant is unproved, so no handler may act on it. */
export function isExempt ({ raw }: FastifyRequest): boolean {
  return raw.method === 'OPTIONS' && (raw as IncomingMessage & Exempt)[kExempt] === true
}

function mark ({ raw }: FastifyRequest, exempt: boolean): void {
  const marked: IncomingMessage & Exempt = raw
  marked[kExempt] = exempt
}

function isPreflight ({ method, headers }: FastifyRequest): boolean {
  return method === 'OPTIONS' && headers.origin !== undefined && headers['access-control-request-method'] !== undefined
}
