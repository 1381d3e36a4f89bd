import { openConfig, readEnvFile } from './config.ts'
import { TenantFolder } from './folder.ts'
import { displayName, INDEX_FILES, readIndex } from './index-module.ts'
import { warnOfMisnamedEntries } from './misnamed-entries.ts'
import { addDefaults, readStandardKeys, readTemplateName } from './standard-config.ts'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import type { ConfigChecker } from './config-checker.ts'
import type { EnvValues } from './config.ts'
import type { IndexModule } from './index-module.ts'
import type { LoadProgress } from './load-progress.ts'
import type { ConfigContext, TenantConfig, TenantDefinition } from '../../types/index.ts'

/** The part of a template that the configs of its tenants start from. */
export interface ConfigDefaults {
  /** The values of the template's `.env` file. Those of the tenant's own file win. */
  readonly env: EnvValues
  /** Reads the template's config for one tenant. */
  readConfig (context: ConfigContext): Promise<object>
}

/** A tenant whose config is known. None of its code has run, except its config file and the top level of its index module. */
export interface TenantReading {
  /** `null` if the tenant has no folder. */
  readonly folder: TenantFolder | null
  readonly index: IndexModule | null
  readonly name: string
  readonly config: TenantConfig
  /** The plugins that the config names. */
  readonly plugins: readonly string[]
  /** Whether the tenant has code that needs a Fastify scope of its own. */
  readonly hasCode: boolean
}

/** The options of `readTenant`. */
export interface ReadTenantOptions {
  /** The app that the plugin was registered in. */
  readonly app: FastifyInstance
  readonly log: FastifyBaseLogger
  readonly checkConfig: ConfigChecker | undefined
  readonly progress: LoadProgress
  /** Returns the template that a tenant names, loaded. */
  readonly useTemplate: (name: string) => Promise<ConfigDefaults>
}

const CODE = ['plugins', 'routes', 'schemas', 'services', ...INDEX_FILES]
const NO_TEMPLATE: ConfigDefaults = { env: {}, readConfig: async () => ({}) }

/**
 * Reads the config of a tenant: the defaults of its template, the keys of its folder, and those of its definition. Later ones win.
 * @throws {InactiveTenantError}
 * @throws {FST_TENANT_CONFIG_INVALID}
 * @throws {Error} naming the file, relative to the tenant's folder
 */
export async function readTenant (definition: TenantDefinition, { app, log, checkConfig, progress, useTemplate }: ReadTenantOptions): Promise<TenantReading> {
  const { id } = definition
  const folder = definition.dir === undefined ? null : await TenantFolder.open(definition.dir, progress)
  const context: ConfigContext = { id, app }
  const { read } = await openConfig(folder, definition.config)
  const own = await read(context)
  const template = definition.template ?? readTemplateName(own)
  const base = template === undefined ? NO_TEMPLATE : await progress.track(`the template '${template}'`, () => useTemplate(template))
  const merged = { ...await base.readConfig(context), ...own } as TenantConfig
  const config = checkConfig === undefined ? merged : checkConfig(merged, { ...base.env, ...await readEnvFile(folder) })
  const plugins = readStandardKeys(id, config)
  const index = folder === null ? null : await readIndex(folder)
  const name = definition.name ?? displayName(id, index, config)
  addDefaults(config, { id, name })
  if (folder !== null) warnOfMisnamedEntries(log, folder, index !== null)
  const hasCode = definition.plugin !== undefined || plugins.length > 0 || CODE.some(entry => folder?.has(entry))
  return { folder, index, name, config, plugins, hasCode }
}
