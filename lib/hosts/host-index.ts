import { FST_TENANT_HOSTS_INVALID } from '../errors.ts'
import { canonicalPattern, hostPatterns } from './canonical-host.ts'

/** Whose hosts are: each belongs to one tenant. */
export class HostIndex {
  readonly #owners = new Map<string, string>()

  /** How many hosts there are. */
  get size (): number {
    return this.#owners.size
  }

  /** Throws FST_TENANT_HOSTS_INVALID for what is no host, and for a host of another tenant. */
  add (id: string, hosts: readonly string[]): void {
    for (const host of hosts) {
      const pattern = canonicalPattern(host)
      if (pattern === null) throw new FST_TENANT_HOSTS_INVALID(`'${host}', of ${id}, is no host`)
      const owner = this.#owners.get(pattern) ?? id
      if (owner !== id) throw new FST_TENANT_HOSTS_INVALID(`'${pattern}' is of ${owner} and of ${id}`)
      this.#owners.set(pattern, id)
    }
  }

  /** The tenant that has the host, else the one with the longest wildcard above it, else `null`. `host` is in its one spelling. */
  find (host: string): string | null {
    for (const pattern of hostPatterns(host)) {
      const id = this.#owners.get(pattern)
      if (id !== undefined) return id
    }
    return null
  }
}
