import type { FastifyRequest } from 'fastify'
import { FST_TENANT_INVALID_ID } from '../errors.ts'
import { canonicalHost } from './canonical-host.ts'
import { isRepeated } from '../utils/repeated-header.ts'

/**
 * The host of a request in its canonical spelling, as Fastify has it: that of a proxy only where `trustProxy` says so. `undefined`
 * when there is none. Throws FST_TENANT_INVALID_ID for what is no host, for several Host headers, and for one that differs from
 * the `:authority` of HTTP/2.
 */
export function requestHost (request: FastifyRequest): string | undefined {
  if (isRepeated(request, 'host') || namesTwoHosts(request)) throw new FST_TENANT_INVALID_ID()
  // HTTP/1.0 needs no Host header.
  if (request.host === '') return undefined
  const host = canonicalHost(request.host)
  if (host === null) throw new FST_TENANT_INVALID_ID()
  return host
}

/** https://www.rfc-editor.org/rfc/rfc9113#section-8.3.1 */
function namesTwoHosts ({ headers }: FastifyRequest): boolean {
  const { host, ':authority': authority } = headers
  return typeof authority === 'string' && host !== undefined && canonicalHost(host) !== canonicalHost(authority)
}
