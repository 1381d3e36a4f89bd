import { realpath, stat } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, extname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { types } from 'node:util'
import { isObject } from '../../utils/check.ts'
import { dropCommonJs } from './common-js.ts'
import { noSuchFile } from '../../utils/no-such-file.ts'
import { readJson, readJsonSync } from '../../utils/read-json.ts'

const require = createRequire(import.meta.url)

/** What a module exports. */
export type ModuleExports = Readonly<Record<string, unknown>>

/** Not exports, but what Node and compilers add. */
const ADDED = new Set(['default', 'module.exports', '__esModule'])

/**
 * What the file at this absolute path exports: an ES module, a CommonJS module (`module.exports` is the default export) or JSON
 * (its value is the default export). Throws what the module throws.
 */
export async function importModule (file: string): Promise<ModuleExports> {
  if (file.endsWith('.json')) return { default: await readJson(file) }
  return exportsOf(isCommonJs(file) ? namespaceOf(require(file)) : await import(pathToFileURL(file).href))
}

/**
 * The same for a file that is read again when it has changed, and only then. What it imports stays as it is in memory.
 */
export async function importChanged (file: string): Promise<ModuleExports> {
  if (file.endsWith('.json')) return importModule(file)
  if (isCommonJs(file)) {
    // Node knows modules by the paths behind symbolic links.
    dropCommonJs(await realpath(file))
    return importModule(file)
  }
  const { mtimeNs } = await stat(file, { bigint: true })
  return exportsOf(await import(`${pathToFileURL(file).href}?changed=${mtimeNs}`))
}

/**
 * What is CommonJS is required, as @fastify/autoload does: imported, it would stay in Node's cache of ES modules for ever, however
 * often it is read again. The nearest package.json says what `.js` is.
 */
function isCommonJs (file: string): boolean {
  const extension = extname(file)
  if (extension !== '.js') return extension === '.cjs'
  return holdsCommonJs(dirname(file))
}

function holdsCommonJs (dir: string): boolean {
  const manifest = readManifest(dir)
  if (manifest !== undefined) return manifest.type !== 'module'
  return dir === dirname(dir) || holdsCommonJs(dirname(dir))
}

/** At once, as Node does: there are many folders to look in, and a file in few of them. */
function readManifest (dir: string): { type?: string } | undefined {
  try {
    return readJsonSync(join(dir, 'package.json')) as { type?: string }
  } catch (error) {
    return noSuchFile(error as NodeJS.ErrnoException)
  }
}

/** What `import()` would give. Node can require ES modules too: `.js` without a package.json may be one. */
function namespaceOf (exported: unknown): ModuleExports {
  if (types.isModuleNamespaceObject(exported)) return exported as ModuleExports
  return { ...(isObject(exported) ? exported : {}), default: exported }
}

function exportsOf (module: ModuleExports): ModuleExports {
  // A compiled ES module: its exports are those of the module it was compiled from.
  return isObject(module['default']) && module['default']['__esModule'] === true ? module['default'] : module
}

/** A module's exports by name, without the default export. */
export function namedExports (module: ModuleExports): Array<[name: string, value: unknown]> {
  return Object.entries(module).filter(([name]) => !ADDED.has(name))
}
