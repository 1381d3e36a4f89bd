import type { FastifyBaseLogger } from 'fastify'
import { HostStrategy } from '../identification/strategies/host.ts'
import { SubdomainStrategy } from '../identification/strategies/subdomain.ts'
import type { TenantIdentificationStrategy } from '../identification/strategy.ts'
import type { ResolvedOptions } from '../options.ts'

/** Which ids a request can name, where the strategy alone decides it. */
export function reachableBy (strategy: TenantIdentificationStrategy): { isReachable?: (id: string) => boolean } {
  return strategy instanceof SubdomainStrategy ? { isReachable: id => id === id.toLowerCase() } : {}
}

/** Warns of a `defaultTenant` that does not exist, and of `identify: 'host'` where no tenant has a host. A source that fails ends no boot. */
export async function warnOfUnreachable ({ source, strategy, defaultTenant }: ResolvedOptions, log: FastifyBaseLogger): Promise<void> {
  try {
    if (strategy instanceof HostStrategy && await source.hasHosts?.() === false) {
      log.warn("no tenant has a host, so identify: 'host' finds none: give folders theirs in hosts.json, and tenants in code `hosts`")
    }
    if (defaultTenant !== undefined && await source.get(defaultTenant) === null) {
      log.warn({ tenantId: defaultTenant }, 'defaultTenant does not exist: requests that name no tenant are refused until it does')
    }
  } catch (err) {
    log.warn({ err }, 'the source of tenants fails: whether defaultTenant and hosts exist is not known')
  }
}
