import { basename, relative, sep } from 'node:path'
import { importModule } from './modules/modules.ts'
import type { AutoloadPluginOptions } from '@fastify/autoload'
import type { TenantFolder } from './folder.ts'

/** The default of @fastify/autoload. */
export const AUTO_HOOKS = /^[_.]?auto_?hooks(?:\.ts|\.js|\.cjs|\.mjs|\.cts|\.mts)$/iu

/** An autohooks file and its exports. */
export interface HookFile { file: string, exports: unknown[] }

/**
 * Imports the autohooks files among `files`. autoload imports them too, but its error does not name the file that failed.
 * @throws {Error} naming the file
 */
export async function readAutoHooks (folder: TenantFolder, files: readonly string[], { dir, autoHooks, autoHooksPattern = AUTO_HOOKS, ignorePattern }: AutoloadPluginOptions): Promise<HookFile[]> {
  if (!autoHooks) return []
  const ignored = (path: string): boolean => ignorePattern !== undefined && RegExp(ignorePattern).test(relative(dir, path).replaceAll(sep, '/'))
  const hooks = files.filter(file => autoHooksPattern.test(basename(file)) && !ignored(file))
  return Promise.all(hooks.map(async file => {
    const module = await folder.inFile(file, () => importModule(file))
    return { file, exports: [module['default']] }
  }))
}
