import type { FastifyBaseLogger } from 'fastify'
import { HostStrategy } from '../identification/strategies/host.ts'
import { SubdomainStrategy } from '../identification/strategies/subdomain.ts'
import type { TenantIdentificationStrategy } from '../identification/strategy.ts'
import type { ResolvedOptions } from '../options.ts'

/** The part of the source's context that says which ids requests can name. Empty if the strategy does not restrict them. */
export function reachability (strategy: TenantIdentificationStrategy): { isReachable?: (id: string) => boolean } {
  return strategy instanceof SubdomainStrategy ? { isReachable: id => id === id.toLowerCase() } : {}
}

/** Logs a warning if `defaultTenant` does not exist, or if `identify` is `'host'` and no tenant has a host. Never rejects: a failing source must not end the boot. */
export async function warnOfMissingTenants ({ source, strategy, defaultTenant }: ResolvedOptions, log: FastifyBaseLogger): Promise<void> {
  try {
    if (strategy instanceof HostStrategy && await source.hasHosts?.() === false) {
      log.warn("no tenant has a host, so identify: 'host' finds no tenant: add hosts.json to the folders, or `hosts` to tenants in code")
    }
    if (defaultTenant !== undefined && await source.get(defaultTenant) === null) {
      log.warn({ tenantId: defaultTenant }, 'defaultTenant does not exist: requests that name no tenant are refused until it does')
    }
  } catch (err) {
    log.warn({ err }, 'the source of tenants failed: it is not known whether defaultTenant and hosts exist')
  }
}
