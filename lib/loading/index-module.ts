import { isObject } from '../utils/check.ts'
import { importModule } from './modules/modules.ts'
import type { TenantFolder } from './folder.ts'
import type { PluginFunction } from './plugin-function.ts'
import type { TenantConfig } from '../../types/index.ts'

/** What a tenant's index module says. */
export interface IndexModule {
  file: string
  name: string | undefined
  NAME: string | undefined
  TENANT_ID: string | undefined
  plugin: PluginFunction | undefined
}

/** The names that an index module may have. */
export const INDEX_FILES = ['mjs', 'js', 'cjs', 'ts', 'mts', 'cts'].map(extension => `index.${extension}`)

/**
 * The index module of a tenant's folder, or its module `main`; `null` when there is none.
 * Throws an Error naming the file when its default export is no plugin.
 */
export async function readIndex (folder: TenantFolder, main?: string): Promise<IndexModule | null> {
  const file = main ?? folder.one(INDEX_FILES)
  if (file === undefined) return null
  return folder.inFile(file, async () => {
    const module = await importModule(file)
    const exported = module['default']
    // A CommonJS module that exports the names alone has an object for its default export.
    const names = isObject(exported) ? { ...exported, ...module } : module
    if (exported !== undefined && !isObject(exported) && typeof exported !== 'function') {
      throw new Error('The default export must be a plugin')
    }
    return {
      file,
      name: text(names['name']) ?? text(names['NAME']),
      NAME: text(names['NAME']),
      TENANT_ID: text(names['TENANT_ID']),
      plugin: typeof exported === 'function' ? exported as PluginFunction : undefined
    }
  })
}

/** The name to show: `name` or `NAME` of the index module, the config's `name`, `TENANT_ID` of the index module, or the id. */
export function displayName (id: string, index: IndexModule | null, config: TenantConfig): string {
  return index?.name ?? text(Reflect.get(config, 'name')) ?? index?.TENANT_ID ?? id
}

function text (value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}
