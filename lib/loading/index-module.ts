import { isObject, isText } from '../utils/check.ts'
import { importModule } from './modules/modules.ts'
import type { TenantFolder } from './folder.ts'
import type { PluginFunction } from './plugin-function.ts'
import type { TenantConfig } from '../../types/index.ts'

/** The exports of a tenant's index module. */
export interface IndexModule {
  file: string
  name: string | undefined
  NAME: string | undefined
  TENANT_ID: string | undefined
  plugin: PluginFunction | undefined
}

/** The allowed names of an index module. */
export const INDEX_FILES = ['mjs', 'js', 'cjs', 'ts', 'mts', 'cts'].map(extension => `index.${extension}`)

/**
 * Imports the index module of a tenant's folder, or the module at the path `main`. Returns `null` when there is none.
 * @throws {Error} naming the file when its default export is not a plugin
 */
export async function readIndex (folder: TenantFolder, main?: string): Promise<IndexModule | null> {
  const file = main ?? folder.findOne(INDEX_FILES)
  if (file === undefined) return null
  return folder.inFile(file, async () => {
    const module = await importModule(file)
    const exported = module['default']
    // The default export of a CommonJS module without a plugin is an object with the names.
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

/** The display name: `name` or `NAME` of the index module, the config's `name`, `TENANT_ID` of the index module, or the id. */
export function displayName (id: string, index: IndexModule | null, config: TenantConfig): string {
  return index?.name ?? text(Reflect.get(config, 'name')) ?? index?.TENANT_ID ?? id
}

function text (value: unknown): string | undefined {
  return isText(value) ? value : undefined
}
