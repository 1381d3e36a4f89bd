import type { FastifyRequest } from 'fastify'
import type { IdentificationContext, TenantAnswer } from '../../../types/index.ts'
import { requestHost } from '../../hosts/request-host.ts'
import { TenantIdentificationStrategy } from '../strategy.ts'
import { unusable } from '../unusable.ts'

/**
 * The tenant is named by the host, which must be one of its `hosts`: the exact one wins, then the longest wildcard.
 * Throws FST_TENANT_INVALID_ID for what is no host and for several Host headers.
 */
export class HostStrategy extends TenantIdentificationStrategy {
  override extractTenantId (request: FastifyRequest, { resolveHost }: IdentificationContext): TenantAnswer | Promise<TenantAnswer> {
    const host = requestHost(request)
    return host === undefined ? undefined : (resolveHost as NonNullable<typeof resolveHost>)(host)
  }

  /** Throws FST_TENANT_OPTION_INVALID when the source of tenants knows no hosts. */
  override check ({ resolveHost }: IdentificationContext): void {
    if (resolveHost === undefined) throw unusable('host', 'the source of tenants has a method resolveHost')
  }
}
