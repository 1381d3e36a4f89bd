import type { FastifyRequest } from 'fastify'
import type { IdentificationContext, TenantAnswer } from '../../../types/index.ts'
import { requestHost } from '../../hosts/request-host.ts'
import { TenantIdentificationStrategy } from '../strategy.ts'
import { unusable } from '../strategy-unusable.ts'

/**
 * Finds the tenant that owns the request's host: the host must be in the `hosts` of the tenant. An exact host wins, then the longest wildcard.
 * @throws {FST_TENANT_INVALID_ID} for a host that is invalid, and for several Host headers
 */
export class HostStrategy extends TenantIdentificationStrategy {
  override extractTenantId (request: FastifyRequest, { resolveHost }: IdentificationContext): TenantAnswer | Promise<TenantAnswer> {
    const host = requestHost(request)
    return host === undefined ? undefined : (resolveHost as NonNullable<typeof resolveHost>)(host)
  }

  /** @throws {FST_TENANT_OPTION_INVALID} when the source of tenants has no `resolveHost` */
  override check ({ resolveHost }: IdentificationContext): void {
    if (resolveHost === undefined) throw unusable('host', 'the source of tenants has a method resolveHost')
  }
}
