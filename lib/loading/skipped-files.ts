import { readFile } from 'node:fs/promises'
import { basename, dirname, parse } from 'node:path'
import { isUnimportant } from '../utils/unimportant.ts'
import { AUTO_HOOKS } from './auto-hooks.ts'
import type { FastifyBaseLogger } from 'fastify'
import type { AutoloadOptions } from '../../types/index.ts'
import type { TenantFolder } from './folder.ts'

const MODULE = /\.[cm]?[jt]s$/i
const INDEX = /^index\.[cm]?[jt]s$/i
/** Source code that Node cannot load without a compiler. */
const NEEDS_COMPILER = /\.(?:[cm]?[jt]sx|coffee|es6?)$/i

/**
 * Warns about files below `plugins/` or `routes/` that autoload skips: files beside an index file that does not import them, and files
 * that need a compiler. Does not warn when the autoload options filter files, because those are left out on purpose.
 */
export async function warnOfSkippedFiles (log: FastifyBaseLogger, folder: TenantFolder, files: readonly string[], found: readonly string[], options: AutoloadOptions['routes'] & {}): Promise<void> {
  if (options.ignorePattern !== undefined || options.ignoreFilter !== undefined || options.matchFilter !== undefined) return
  for (const file of files) {
    if (found.includes(file) || AUTO_HOOKS.test(basename(file)) || folder.nameOf(file).split('/').some(isUnimportant)) continue
    if (NEEDS_COMPILER.test(file)) log.warn({ file: folder.nameOf(file) }, 'this file is not loaded: only modules are loaded (.js, .mjs, .cjs)')
    const index = found.find(other => INDEX.test(basename(other)) && dirname(other) === dirname(file))
    if (index === undefined || !MODULE.test(file) || await imports(index, file)) continue
    log.warn({ file: folder.nameOf(file) }, `this file is not loaded: only ${basename(index)} is loaded from its folder. Import the file there, or move it to its own folder`)
  }
}

async function imports (index: string, file: string): Promise<boolean> {
  const text = await readFile(index, 'utf8')
  return text.includes(`./${parse(file).name}`)
}
