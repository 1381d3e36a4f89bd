import { resolve } from 'node:path'
import { FST_TENANT_OPTION_INVALID } from '../errors.ts'
import { isTenantId } from '../identification/tenant-id.ts'
import { HostIndex } from './host-index.ts'
import { isHosts } from './hosts-file.ts'
import type { IdCheck } from '../identification/tenant-id.ts'
import type { InlineTenant, TenantDefinition, TenantSource } from '../../types/index.ts'

/** Tenants that are given in code. */
export class ObjectSource implements TenantSource {
  readonly #tenants: ReadonlyMap<string, TenantDefinition>
  readonly #hosts = new HostIndex()

  /**
   * A relative `dir` starts at the process's working directory.
   * Throws FST_TENANT_OPTION_INVALID and FST_TENANT_HOSTS_INVALID naming what is wrong.
   */
  constructor (tenants: Readonly<Record<string, InlineTenant>>, isId: IdCheck = isTenantId) {
    this.#tenants = new Map(Object.entries(tenants).map(([id, tenant]) => [id, define(id, tenant, isId)]))
    for (const { id, hosts = [] } of this.#tenants.values()) this.#hosts.add(id, hosts)
  }

  get (id: string): TenantDefinition | null {
    return this.#tenants.get(id) ?? null
  }

  async * list (): AsyncIterable<string> {
    yield * this.#tenants.keys()
  }

  count (): number {
    return this.#tenants.size
  }

  resolveHost (host: string): string | null {
    return this.#hosts.find(host)
  }
}

/** The source of tenants that are given in code, by id. Throws as `ObjectSource` does. */
export function objectSource (tenants: Readonly<Record<string, InlineTenant>>, isId?: IdCheck): ObjectSource {
  return new ObjectSource(tenants, isId)
}

function define (id: string, tenant: InlineTenant, isId: IdCheck): TenantDefinition {
  const name = `tenants.${id}`
  check(isId(id), name, 'named with 1 to 63 letters, digits, _ and -, the first a letter or a digit')
  check(typeof tenant === 'object' && tenant !== null && !Array.isArray(tenant), name, 'an object { config, plugin, dir, hosts }')
  const { dir, config, plugin, hosts } = tenant
  check(dir === undefined || (typeof dir === 'string' && dir !== ''), `${name}.dir`, 'the path of a folder')
  check(plugin === undefined || typeof plugin === 'function', `${name}.plugin`, 'a plugin')
  check(hosts === undefined || isHosts(hosts), `${name}.hosts`, 'an array of hosts')
  return { id, config, plugin, hosts, dir: dir === undefined ? undefined : resolve(dir) }
}

function check (right: boolean, name: string, expected: string): void {
  if (!right) throw new FST_TENANT_OPTION_INVALID(name, expected)
}
