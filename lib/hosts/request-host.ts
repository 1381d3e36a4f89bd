import type { FastifyRequest } from 'fastify'
import { FST_TENANT_INVALID_ID } from '../errors.ts'
import { canonicalHost } from './canonical-host.ts'
import { isRepeated } from '../utils/repeated-header.ts'

/**
 * Returns the host of a request in canonical form, `undefined` if the request has none. A proxy's headers count only if Fastify's
 * `trustProxy` allows it.
 * @throws {FST_TENANT_INVALID_ID} for text that is not a host, for several Host headers, and for a Host header that differs from the
 * `:authority` of HTTP/2
 */
export function requestHost (request: FastifyRequest): string | undefined {
  if (isRepeated(request, 'host') || namesTwoHosts(request)) throw new FST_TENANT_INVALID_ID()
  // HTTP/1.0 does not require a Host header.
  if (request.host === '') return undefined
  const host = canonicalHost(request.host)
  if (host === null) throw new FST_TENANT_INVALID_ID()
  return host
}

/** HTTP/2 allows both a Host header and `:authority`, which must agree: https://www.rfc-editor.org/rfc/rfc9113#section-8.3.1 */
function namesTwoHosts ({ headers }: FastifyRequest): boolean {
  const { host, ':authority': authority } = headers
  return typeof authority === 'string' && host !== undefined && canonicalHost(host) !== canonicalHost(authority)
}
