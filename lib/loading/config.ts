import { isObject } from '../utils/check.ts'
import { FST_TENANT_CONFIG_INVALID } from '../errors.ts'
import { copyExported } from './copy-exported.ts'
import { copyPlain } from './copy-plain.ts'
import { importChanged } from './modules/modules.ts'
import type { FastifyInstance } from 'fastify'
import type { ConfigChecker } from './config-checker.ts'
import type { TenantFolder } from './folder.ts'
import type { ConfigContext, TenantConfig, TenantDefinition } from '../../types/index.ts'

/** The names that a tenant's config may have. */
export const CONFIG_FILES = ['js', 'mjs', 'cjs', 'ts', 'mts', 'cts', 'json'].map(extension => `config.${extension}`)

/**
 * A tenant's config: its folder's, the definition's own over it, key by key, and both checked when there is a `configSchema`.
 * Only then is the folder's `.env` read. The tenant gets a copy: files and definitions may serve several tenants. Instances of classes,
 * such as pools, are not copied: in the config of a file they are refused, unless a function returns them.
 * Throws FST_TENANT_CONFIG_INVALID when it is no object or does not fit.
 */
export async function readConfig (
  scope: FastifyInstance,
  definition: TenantDefinition,
  folder: TenantFolder | null,
  check: ConfigChecker | undefined
): Promise<TenantConfig> {
  const context: ConfigContext = { id: definition.id, app: scope }
  const fromFolder = folder === null ? {} : await readFolderConfig(folder, context)
  const own = checkObject(await answerOf(definition.config ?? {}, context), "the tenant's own config")
  const config = { ...copyPlain({ ...fromFolder }), ...copyPlain({ ...own }) } as TenantConfig
  return check === undefined ? config : check(scope, config, folder?.path('.env'))
}

async function readFolderConfig (folder: TenantFolder, context: ConfigContext): Promise<object> {
  const file = folder.one(CONFIG_FILES)
  if (file === undefined) return {}
  const config = await folder.inFile(file, async () => {
    const exported = (await importChanged(file))['default']
    // The module serves other tenants too. What a function returns is this tenant's.
    return isObject(exported) ? copyExported(exported) : answerOf(exported, context)
  })
  return checkObject(config, file.endsWith('.json') ? folder.nameOf(file) : `the default export of ${folder.nameOf(file)}`)
}

function answerOf (config: unknown, context: ConfigContext): unknown {
  return typeof config === 'function' ? config(context) : config
}

function checkObject (config: unknown, name: string): object {
  if (isObject(config)) return config
  throw new FST_TENANT_CONFIG_INVALID(`${name} must be an object, or a function that answers with one`)
}
