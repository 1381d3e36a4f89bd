import { basename, relative, sep } from 'node:path'
import { importModule } from './modules/modules.ts'
import type { AutoloadPluginOptions } from '@fastify/autoload'
import type { TenantFolder } from './folder.ts'

/** As in autoload. */
const AUTO_HOOKS = /^[_.]?auto_?hooks(?:\.ts|\.js|\.cjs|\.mjs|\.cts|\.mts)$/iu

/** An autohooks file, and what it exports. */
export interface HookFile { file: string, exports: unknown[] }

/** Those of `files`, all that are below the folder, that autoload takes for its hooks. It would import them too, but not say which of them fails. Throws an Error naming the file. */
export async function readAutoHooks (folder: TenantFolder, files: readonly string[], { dir, autoHooks, autoHooksPattern = AUTO_HOOKS, ignorePattern }: AutoloadPluginOptions): Promise<HookFile[]> {
  if (!autoHooks) return []
  const ignored = (path: string): boolean => ignorePattern !== undefined && RegExp(ignorePattern).test(relative(dir, path).replaceAll(sep, '/'))
  const hooks = files.filter(file => autoHooksPattern.test(basename(file)) && !ignored(file))
  return Promise.all(hooks.map(async file => {
    const module = await folder.inFile(file, () => importModule(file))
    return { file, exports: [module['default']] }
  }))
}
