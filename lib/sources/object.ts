import { resolve } from 'node:path'
import { check, isObject, isText } from '../utils/check.ts'
import { isTenantId } from '../utils/tenant-id.ts'
import { HostIndex } from '../hosts/host-index.ts'
import { isHosts } from '../hosts/hosts-file.ts'
import { KnownTenants } from './known-tenants.ts'
import type { IdCheck } from '../utils/tenant-id.ts'
import type { InlineTenant, TenantDefinition } from '../../types/index.ts'

/** Tenants that are defined in code. */
export class ObjectSource extends KnownTenants {
  readonly #hosts = new HostIndex()

  /**
   * @param tenants by id; a relative `dir` starts at the process's working directory
   * @throws {FST_TENANT_OPTION_INVALID} when a tenant is invalid; the message names the property
   * @throws {FST_TENANT_HOSTS_INVALID} when a host is invalid, or belongs to two tenants
   */
  constructor (tenants: Readonly<Record<string, InlineTenant>>, isId: IdCheck = isTenantId) {
    super()
    for (const [id, tenant] of Object.entries(tenants)) this.tenants.set(id, define(id, tenant, isId))
    for (const { id, hosts = [] } of this.tenants.values()) this.#hosts.add(id, hosts)
  }

  resolveHost (host: string): string | null {
    return this.#hosts.find(host)
  }

  hasHosts (): boolean {
    return this.#hosts.size > 0
  }
}

/**
 * Creates a source of tenants that are defined in code.
 * @throws {FST_TENANT_OPTION_INVALID} when a tenant is invalid
 * @throws {FST_TENANT_HOSTS_INVALID} when a host is invalid, or belongs to two tenants
 */
export function objectSource (tenants: Readonly<Record<string, InlineTenant>>, isId?: IdCheck): ObjectSource {
  return new ObjectSource(tenants, isId)
}

function define (id: string, tenant: InlineTenant, isId: IdCheck): TenantDefinition {
  const name = `tenants.${id}`
  check(isId(id), name, 'named with 1 to 63 letters, digits, _ and -, the first a letter or a digit', id)
  check(isObject(tenant), name, 'an object { config, template, plugin, dir, hosts }', tenant)
  const { dir, config, template, plugin, hosts } = tenant
  check(dir === undefined || isText(dir), `${name}.dir`, 'the path of a folder', dir)
  check(template === undefined || isText(template), `${name}.template`, 'the name of a template', template)
  check(plugin === undefined || typeof plugin === 'function', `${name}.plugin`, 'a plugin', plugin)
  check(hosts === undefined || isHosts(hosts), `${name}.hosts`, 'an array of hosts', hosts)
  return { id, config, template, plugin, hosts, dir: dir === undefined ? undefined : resolve(dir) }
}
