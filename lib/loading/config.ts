import { readFile } from 'node:fs/promises'
import { parseEnv } from 'node:util'
import { isObject } from '../utils/check.ts'
import { FST_TENANT_CONFIG_INVALID } from '../errors.ts'
import { copyExported } from './copy-exported.ts'
import { copyPlain } from './copy-plain.ts'
import { importChanged } from './modules/modules.ts'
import type { TenantFolder } from './folder.ts'
import type { ConfigContext, TenantConfig, TenantConfigInput } from '../../types/index.ts'

/** The allowed names of a tenant's config file. */
export const CONFIG_FILES = ['js', 'mjs', 'cjs', 'ts', 'mts', 'cts', 'json'].map(extension => `config.${extension}`)

/** The values of an `.env` file. */
export type EnvValues = Readonly<Record<string, string | undefined>>

/** A config whose file has been imported. */
export interface OpenConfig {
  /** The keys that are the same for every tenant: those of exported objects, not of functions. */
  readonly fixed: object
  /** Reads the config for one tenant. Rejects with FST_TENANT_CONFIG_INVALID when it is not an object. */
  readonly read: (context: ConfigContext) => Promise<object>
}

const NO_FILE: OpenConfig = { fixed: {}, read: async () => ({}) }

/**
 * Opens the config of a folder and of a definition, whose keys win. Each read returns a copy, because several tenants may share a file or a
 * definition. Class instances, such as pools, are not copied. A config file may not export one, but an exported function may return one.
 */
export async function openConfig (folder: TenantFolder | null, config: TenantConfigInput = {} as TenantConfig): Promise<OpenConfig> {
  const file = folder === null ? NO_FILE : await openConfigFile(folder)
  return {
    fixed: { ...file.fixed, ...(isObject(config) && config) },
    read: async context => {
      const fromFile = await file.read(context)
      const own = checkObject(await resolveConfig(config, context), "the tenant's own config")
      return { ...copyPlain({ ...fromFile }), ...copyPlain({ ...own }) }
    }
  }
}

async function openConfigFile (folder: TenantFolder): Promise<OpenConfig> {
  const file = folder.findOne(CONFIG_FILES)
  if (file === undefined) return NO_FILE
  const exported = await folder.inFile(file, async () => (await importChanged(file))['default'])
  const name = file.endsWith('.json') ? folder.nameOf(file) : `the default export of ${folder.nameOf(file)}`
  return {
    fixed: isObject(exported) ? exported : {},
    // Other tenants may share an exported object. The result of a function belongs to one tenant.
    read: async context => checkObject(await folder.inFile(file, () => isObject(exported) ? copyExported(exported) : resolveConfig(exported, context)), name)
  }
}

/**
 * Reads the `.env` file of a folder. Empty if there is none.
 * @throws {FST_TENANT_CONFIG_INVALID} when it cannot be read
 */
export async function readEnvFile (folder: TenantFolder | null): Promise<EnvValues> {
  if (folder?.has('.env') !== true) return {}
  try {
    return parseEnv(await readFile(folder.path('.env'), 'utf8'))
  } catch (cause) {
    throw new FST_TENANT_CONFIG_INVALID(`.env cannot be read: ${(cause as Error).message}`, { cause })
  }
}

function resolveConfig (config: unknown, context: ConfigContext): unknown {
  return typeof config === 'function' ? config(context) : config
}

function checkObject (config: unknown, name: string): object {
  if (isObject(config)) return config
  throw new FST_TENANT_CONFIG_INVALID(`${name} must be an object, or a function that returns one`)
}
