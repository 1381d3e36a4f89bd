import { FST_TENANT_HOSTS_INVALID } from '../errors.ts'
import { canonicalPattern, hostPatterns } from './canonical-host.ts'

/** Maps hosts and wildcards to tenants. Each belongs to one tenant. */
export class HostIndex {
  readonly #owners = new Map<string, string>()

  /** The number of hosts and wildcards. */
  get size (): number {
    return this.#owners.size
  }

  /**
   * Adds the hosts of a tenant.
   * @throws {FST_TENANT_HOSTS_INVALID} when one is not a host, or belongs to another tenant
   */
  add (id: string, hosts: readonly string[]): void {
    for (const host of hosts) {
      const pattern = canonicalPattern(host)
      if (pattern === null) throw new FST_TENANT_HOSTS_INVALID(`'${host}' of tenant '${id}' is not a host`)
      const owner = this.#owners.get(pattern) ?? id
      if (owner !== id) throw new FST_TENANT_HOSTS_INVALID(`'${pattern}' belongs to tenants '${owner}' and '${id}'`)
      this.#owners.set(pattern, id)
    }
  }

  /** Returns the id of the tenant with exactly this host, else of the one with the longest matching wildcard, else `null`. `host` must be in canonical form. */
  find (host: string): string | null {
    for (const pattern of hostPatterns(host)) {
      const id = this.#owners.get(pattern)
      if (id !== undefined) return id
    }
    return null
  }
}
