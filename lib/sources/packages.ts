import { realpath } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { resolve } from 'import-meta-resolve'
import picomatch from 'picomatch'
import { FST_TENANT_OPTION_INVALID, FST_TENANT_PACKAGE_INVALID } from '../errors.ts'
import { readJson } from '../utils/read-json.ts'

/** The fields of a package.json that are read here. */
interface Manifest {
  main?: unknown
  exports?: unknown
  dependencies?: Readonly<Record<string, string>>
  optionalDependencies?: Readonly<Record<string, string>>
}

/** An installed package. */
export interface InstalledPackage {
  /** The absolute path of its folder. Symbolic links, which workspaces use, are resolved. */
  dir: string
  manifest: Manifest
}

/** A dependency of a project. */
export interface ProjectPackage extends InstalledPackage {
  name: string
  /** The absolute path of the project's folder. */
  root: string
  /** The part of its name that the pattern leaves open: `acme` of `fastify-multitenant-acme` for `fastify-multitenant-*`. */
  part: string
}

/** A package name, with an optional path inside the package. A URL is not allowed, and neither is `..`, which could leave the package. */
const SPECIFIER = /^((?:@[\w~-][\w.~-]*\/)?[\w~-][\w.~-]*)((?:\/(?!\.{1,2}(?:\/|$))[\w.~-]+)*)$/

/** Returns the package name in an import specifier. `null` if the specifier does not name a package. */
export function packageNameOf (specifier: string): string | null {
  return SPECIFIER.exec(specifier)?.[1] ?? null
}

/**
 * Finds an installed package from `dir` upwards. Returns `null` if it is not installed.
 * @throws {FST_TENANT_PACKAGE_INVALID} when its package.json cannot be read
 */
export async function findPackage (name: string, dir: string): Promise<InstalledPackage | null> {
  for (const path of createRequire(join(dir, 'package.json')).resolve.paths(name) ?? []) {
    const manifest = await readManifest(join(path, name))
    if (manifest !== null) return { dir: await realpath(join(path, name)), manifest }
  }
  return null
}

/** Returns the path of the file that a module in `dir` would import. Throws Node's error if there is none. */
export function resolveModule (specifier: string, dir: string): string {
  return fileURLToPath(resolve(specifier, pathToFileURL(join(dir, 'package.json')).href))
}

/** Returns the path of a package's main module, `null` if its package.json names none. Throws Node's error if the file does not exist. */
export function mainModule ({ name, root, manifest: { main, exports } }: ProjectPackage): string | null {
  return main === undefined && exports === undefined ? null : resolveModule(name, root)
}

/**
 * Finds the installed dependencies of the project in `root` whose names match a glob, sorted by name.
 * @throws {FST_TENANT_OPTION_INVALID} when `root` has no package.json
 * @throws {FST_TENANT_PACKAGE_INVALID} when a dependency is not installed, unless it is optional
 */
export async function matchingPackages (root: string, pattern: string): Promise<ProjectPackage[]> {
  const manifest = await readManifest(root)
  if (manifest === null) throw new FST_TENANT_OPTION_INVALID('root', `the folder of a project; ${root} has no package.json`)
  const { dependencies = {}, optionalDependencies = {} } = manifest
  const regex = patternRegex(pattern)
  const packages: ProjectPackage[] = []
  for (const name of Object.keys({ ...dependencies, ...optionalDependencies }).sort()) {
    const part = openPart(regex, name)
    if (part === null) continue
    const installed = await findPackage(name, root)
    if (installed !== null) packages.push({ name, root, part, ...installed })
    else if (!Object.hasOwn(optionalDependencies, name)) throw new FST_TENANT_PACKAGE_INVALID(name, 'is not installed')
  }
  return packages
}

/** Compiles a glob to a regular expression that captures the open parts of a name, with their positions. */
function patternRegex (pattern: string): RegExp {
  return new RegExp(picomatch.makeRe(pattern, { capture: true }).source, 'd')
}

/** Returns the part of a name between the fixed start and end of the pattern: the full name if nothing is open, `null` if the name does not match. */
function openPart (regex: RegExp, name: string): string | null {
  const match = regex.exec(name)
  if (match === null) return null
  const openParts = (match.indices as RegExpIndicesArray).slice(1).filter(part => part !== undefined)
  return name.slice(openParts[0]?.[0], openParts.at(-1)?.[1])
}

/**
 * Reads a package.json. Returns `null` if it does not exist.
 * @throws {FST_TENANT_PACKAGE_INVALID} when it cannot be read
 */
async function readManifest (dir: string): Promise<Manifest | null> {
  try {
    return await readJson(join(dir, 'package.json')) as Manifest
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw new FST_TENANT_PACKAGE_INVALID(dir, 'has a package.json that cannot be read', { cause })
  }
}
