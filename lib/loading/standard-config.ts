import { FST_TENANT_CONFIG_INVALID } from '../errors.ts'
import type { StandardConfig, TenantConfig } from '../../types/index.ts'

/** The tenant's config says that it is to be left out. */
export class InactiveTenantError extends Error {
  override readonly name = 'InactiveTenantError'
}

/**
 * Reads what every tenant's config may say, and answers with the plugins that it names.
 * Throws InactiveTenantError, and FST_TENANT_CONFIG_INVALID when something of it is not what it must be: above all an id that is
 * another's, since what a tenant stores is stored under it.
 */
export function readStandard (id: string, config: TenantConfig): readonly string[] {
  const { id: own = id, active = true, plugins = [] } = config as TenantConfig & StandardConfig
  check(own === id, 'id must be the id of the tenant')
  check(typeof active === 'boolean', 'active must be a boolean')
  check(Array.isArray(plugins) && plugins.every(plugin => typeof plugin === 'string'), 'plugins must be an array of plugins, each named as "scheme:reference"')
  if (!active) throw new InactiveTenantError('The config says that the tenant is not active')
  return plugins
}

/** Gives a config what services and routes look for in it, where it says nothing. Not enumerable: what is shown or copied is what was written. */
export function fillIn (config: TenantConfig, values: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(values)) {
    if (Reflect.get(config, name) === undefined) Object.defineProperty(config, name, { value, configurable: true, enumerable: false, writable: true })
  }
}

function check (right: boolean, reason: string): void {
  if (!right) throw new FST_TENANT_CONFIG_INVALID(`config.${reason}`)
}
