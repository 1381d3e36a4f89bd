import { isObject } from '../utils/check.ts'
import { FST_TENANT_CONFIG_INVALID } from '../errors.ts'
import { copyExported } from './copy-exported.ts'
import { copyPlain } from './copy-plain.ts'
import { importChanged } from './modules/modules.ts'
import type { FastifyInstance } from 'fastify'
import type { ConfigChecker } from './config-checker.ts'
import type { TenantFolder } from './folder.ts'
import type { ConfigContext, TenantConfig, TenantDefinition } from '../../types/index.ts'

/** The allowed names of a tenant's config file. */
export const CONFIG_FILES = ['js', 'mjs', 'cjs', 'ts', 'mts', 'cts', 'json'].map(extension => `config.${extension}`)

/**
 * Reads a tenant's config. The keys of the definition's config win over those of the folder's config file. With a `configSchema`, the
 * merged config is checked and the folder's `.env` is read. The tenant gets a copy, because several tenants may share a file or
 * a definition. Class instances, such as pools, are not copied. A config file may not export one, but an exported function may return one.
 * @throws {FST_TENANT_CONFIG_INVALID} when the config is not an object or does not match the schema
 */
export async function readConfig (
  scope: FastifyInstance,
  definition: TenantDefinition,
  folder: TenantFolder | null,
  check: ConfigChecker | undefined
): Promise<TenantConfig> {
  const context: ConfigContext = { id: definition.id, app: scope }
  const fromFolder = folder === null ? {} : await readFolderConfig(folder, context)
  const own = checkObject(await resolveConfig(definition.config ?? {}, context), "the tenant's own config")
  const config = { ...copyPlain({ ...fromFolder }), ...copyPlain({ ...own }) } as TenantConfig
  return check === undefined ? config : check(scope, config, folder?.path('.env'))
}

async function readFolderConfig (folder: TenantFolder, context: ConfigContext): Promise<object> {
  const file = folder.findOne(CONFIG_FILES)
  if (file === undefined) return {}
  const config = await folder.inFile(file, async () => {
    const exported = (await importChanged(file))['default']
    // Other tenants may share the exported object. A function's result belongs to this tenant.
    return isObject(exported) ? copyExported(exported) : resolveConfig(exported, context)
  })
  return checkObject(config, file.endsWith('.json') ? folder.nameOf(file) : `the default export of ${folder.nameOf(file)}`)
}

function resolveConfig (config: unknown, context: ConfigContext): unknown {
  return typeof config === 'function' ? config(context) : config
}

function checkObject (config: unknown, name: string): object {
  if (isObject(config)) return config
  throw new FST_TENANT_CONFIG_INVALID(`${name} must be an object, or a function that returns one`)
}
