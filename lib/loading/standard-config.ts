import { FST_TENANT_CONFIG_INVALID } from '../errors.ts'
import { isText } from '../utils/check.ts'
import type { StandardConfig, TenantConfig } from '../../types/index.ts'

/** Thrown when the tenant's config sets `active` to false. */
export class InactiveTenantError extends Error {
  override readonly name = 'InactiveTenantError'
}

/**
 * The template that a config names; `undefined` if it names none.
 * @throws {FST_TENANT_CONFIG_INVALID} when `template` is not a name
 */
export function readTemplateName (config: object): string | undefined {
  const template: unknown = Reflect.get(config, 'template') ?? undefined
  requireConfig(template === undefined || isText(template), 'template must be the name of a template')
  return template as string | undefined
}

/**
 * Takes the keys out of a template's config that are not defaults of its tenants: `plugins`, which are loaded in the template's scope.
 * @throws {FST_TENANT_CONFIG_INVALID} when the config names another template
 */
export function withoutTemplateKeys ({ plugins, template, ...defaults }: { plugins?: unknown, template?: unknown }): object {
  requireConfig(template === undefined || template === null, 'template: a template cannot be built on another template')
  return defaults
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
  requirePlugins(plugins)
  if (!active) throw new InactiveTenantError('The config says that the tenant is not active')
  return plugins
}

/** @throws {FST_TENANT_CONFIG_INVALID} when `plugins` are not names of plugins */
export function requirePlugins (plugins: unknown): asserts plugins is readonly string[] {
  requireConfig(Array.isArray(plugins) && plugins.every(plugin => typeof plugin === 'string'), 'plugins must be an array of plugins, each named as "scheme:reference"')
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
