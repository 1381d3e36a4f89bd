import { readFile } from 'node:fs/promises'
import { basename, dirname, parse } from 'node:path'
import { isUnimportant } from '../utils/unimportant.ts'
import type { FastifyBaseLogger } from 'fastify'
import type { AutoloadOptions } from '../../types/index.ts'
import type { TenantFolder } from './folder.ts'

const MODULE = /\.[cm]?[jt]s$/i
const INDEX = /^index\.[cm]?[jt]s$/i
const AUTO_HOOKS = /^[_.]?auto_?hooks\.[cm]?[jt]s$/i
/** Code that Node cannot load as it is. */
const FOREIGN = /\.(?:[cm]?[jt]sx|coffee|es6?)$/i

/**
 * Warns of those `files`, all that are below `plugins/` or `routes/`, that autoload passes over: those beside an index file, unless that imports them, and
 * those that are no JavaScript. What the options of autoload leave out is meant to be.
 */
export async function warnOfPassedOver (log: FastifyBaseLogger, folder: TenantFolder, files: readonly string[], found: readonly string[], options: AutoloadOptions['routes'] & {}): Promise<void> {
  if (options.ignorePattern !== undefined || options.ignoreFilter !== undefined || options.matchFilter !== undefined) return
  for (const file of files) {
    if (found.includes(file) || AUTO_HOOKS.test(basename(file)) || folder.nameOf(file).split('/').some(isUnimportant)) continue
    if (FOREIGN.test(file)) log.warn({ file: folder.nameOf(file) }, 'this file is not loaded: only modules are, as .js, .mjs, .cjs')
    const index = found.find(other => INDEX.test(basename(other)) && dirname(other) === dirname(file))
    if (index === undefined || !MODULE.test(file) || await imports(index, file)) continue
    log.warn({ file: folder.nameOf(file) }, `this file is not loaded: beside ${basename(index)} no other is. Let it import the file, or put it into a folder of its own`)
  }
}

async function imports (index: string, file: string): Promise<boolean> {
  const text = await readFile(index, 'utf8')
  return text.includes(`./${parse(file).name}`)
}
