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

/** The exports of a module, by name. */
export type ModuleExports = Readonly<Record<string, unknown>>

/** Names that Node and compilers add to a module's exports. */
const ADDED = new Set(['default', 'module.exports', '__esModule'])

/**
 * Imports the file at an absolute path: an ES module, a CommonJS module (`module.exports` is the default export) or JSON
 * (the value is the default export). Throws the errors of the module.
 */
export async function importModule (file: string): Promise<ModuleExports> {
  if (file.endsWith('.json')) return { default: await readJson(file) }
  return exportsOf(isCommonJs(file) ? namespaceOf(require(file)) : await import(pathToFileURL(file).href))
}

/** Imports a file again if it has changed. The modules that it imports are not read again. */
export async function importChanged (file: string): Promise<ModuleExports> {
  if (file.endsWith('.json')) return importModule(file)
  if (isCommonJs(file)) {
    // Node identifies modules by their real paths, behind symbolic links.
    dropCommonJs(await realpath(file))
    return importModule(file)
  }
  const { mtimeNs } = await stat(file, { bigint: true })
  return exportsOf(await import(`${pathToFileURL(file).href}?changed=${mtimeNs}`))
}

/**
 * Whether a file is CommonJS. As in @fastify/autoload, such a file is required: Node would never free an imported one.
 * The nearest package.json decides for `.js`.
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

/** Synchronous, as in Node: many folders are searched, and few have the file. */
function readManifest (dir: string): { type?: string } | undefined {
  try {
    return readJsonSync(join(dir, 'package.json')) as { type?: string }
  } catch (error) {
    return noSuchFile(error as NodeJS.ErrnoException)
  }
}

/** The namespace that `import()` would return. `require()` may return one itself, for a `.js` file that is an ES module. */
function namespaceOf (exported: unknown): ModuleExports {
  if (types.isModuleNamespaceObject(exported)) return exported as ModuleExports
  return { ...(isObject(exported) ? exported : {}), default: exported }
}

function exportsOf (module: ModuleExports): ModuleExports {
  // An ES module compiled to CommonJS: its `module.exports` holds the original exports.
  return isObject(module['default']) && module['default']['__esModule'] === true ? module['default'] : module
}

/** The named exports of a module, without the default export. */
export function namedExports (module: ModuleExports): Array<[name: string, value: unknown]> {
  return Object.entries(module).filter(([name]) => !ADDED.has(name))
}
