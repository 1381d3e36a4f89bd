import { FST_TENANT_CONFIG_INVALID } from '../errors.ts'
import type { StandardConfig, TenantConfig } from '../../types/index.ts'

/** Thrown when the tenant's config sets `active` to false. */
export class InactiveTenantError extends Error {
  override readonly name = 'InactiveTenantError'
}

/**
 * Checks the keys that every tenant's config may have, and returns its `plugins`. An `id` must be the tenant's own, because tenants
 * store their data under it.
 * @throws {InactiveTenantError} when `active` is false
 * @throws {FST_TENANT_CONFIG_INVALID} when `id`, `active` or `plugins` is invalid
 */
export function readStandardKeys (id: string, config: TenantConfig): readonly string[] {
  const { id: own = id, active = true, plugins = [] } = config as TenantConfig & StandardConfig
  requireConfig(own === id, 'id must be the id of the tenant')
  requireConfig(typeof active === 'boolean', 'active must be a boolean')
  requireConfig(Array.isArray(plugins) && plugins.every(plugin => typeof plugin === 'string'), 'plugins must be an array of plugins, each named as "scheme:reference"')
  if (!active) throw new InactiveTenantError('The config says that the tenant is not active')
  return plugins
}

/** Adds missing keys that services and routes read. They are not enumerable, so a printed or copied config shows only written keys. */
export function addDefaults (config: TenantConfig, values: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(values)) {
    if (Reflect.get(config, name) === undefined) Object.defineProperty(config, name, { value, configurable: true, enumerable: false, writable: true })
  }
}

function requireConfig (valid: boolean, reason: string): void {
  if (!valid) throw new FST_TENANT_CONFIG_INVALID(`config.${reason}`)
}
