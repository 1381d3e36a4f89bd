import { realpath } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { resolve } from 'import-meta-resolve'
import picomatch from 'picomatch'
import { FST_TENANT_OPTION_INVALID, FST_TENANT_PACKAGE_INVALID } from '../errors.ts'
import { readJson } from '../utils/read-json.ts'

/** What is read of a package.json. */
interface Manifest {
  main?: unknown
  exports?: unknown
  dependencies?: Readonly<Record<string, string>>
  optionalDependencies?: Readonly<Record<string, string>>
}

/** An installed package. */
export interface InstalledPackage {
  /** The absolute path of its folder, symbolic links followed: packages of a workspace are such. */
  dir: string
  manifest: Manifest
}

/** A package of a project. */
export interface ProjectPackage extends InstalledPackage {
  name: string
  /** The absolute path of the project's folder. */
  root: string
  /** Its name without what is fixed in the pattern: `acme` of `fastify-multitenant-acme` for `fastify-multitenant-*`. */
  part: string
}

/** A package, and perhaps a path in it. A `..` in that path could lead out of the package, and a URL to anywhere. */
const SPECIFIER = /^((?:@[\w~-][\w.~-]*\/)?[\w~-][\w.~-]*)((?:\/(?!\.{1,2}(?:\/|$))[\w.~-]+)*)$/

/** The name of the package that an import names; `null` when it names none. */
export function packageNameOf (specifier: string): string | null {
  return SPECIFIER.exec(specifier)?.[1] ?? null
}

/** A package, looked for from `dir` upwards; `null` when it is not installed. */
export async function findPackage (name: string, dir: string): Promise<InstalledPackage | null> {
  for (const path of createRequire(join(dir, 'package.json')).resolve.paths(name) ?? []) {
    const manifest = await readManifest(join(path, name))
    if (manifest !== null) return { dir: await realpath(join(path, name)), manifest }
  }
  return null
}

/** The path of the file that a module in `dir` would import by that name. Throws what Node's resolution throws. */
export function resolveModule (specifier: string, dir: string): string {
  return fileURLToPath(resolve(specifier, pathToFileURL(join(dir, 'package.json')).href))
}

/** The path of the main module that a package names in its package.json; `null` when it names none. Throws when that is not there. */
export function mainModule ({ name, root, manifest: { main, exports } }: ProjectPackage): string | null {
  return main === undefined && exports === undefined ? null : resolveModule(name, root)
}

/**
 * The installed dependencies of the project in `root` whose names match a glob, by name.
 * Throws FST_TENANT_PACKAGE_INVALID for one that is not installed, unless it is optional, and FST_TENANT_OPTION_INVALID without a package.json.
 */
export async function matchingPackages (root: string, pattern: string): Promise<ProjectPackage[]> {
  const manifest = await readManifest(root)
  if (manifest === null) throw new FST_TENANT_OPTION_INVALID('root', `the folder of a project, and ${root} has no package.json`)
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

/** It captures every part of a name that the pattern leaves open, and knows where they are. */
function patternRegex (pattern: string): RegExp {
  return new RegExp(picomatch.makeRe(pattern, { capture: true }).source, 'd')
}

/** What is between the pattern's fixed beginning and end; `null` when the name does not match, all of it when nothing is open. */
function openPart (regex: RegExp, name: string): string | null {
  const match = regex.exec(name)
  if (match === null) return null
  const open = (match.indices as RegExpIndicesArray).slice(1).filter(part => part !== undefined)
  return name.slice(open[0]?.[0], open.at(-1)?.[1])
}

/** `null` when there is none. Throws FST_TENANT_PACKAGE_INVALID when it cannot be read. */
async function readManifest (dir: string): Promise<Manifest | null> {
  try {
    return await readJson(join(dir, 'package.json')) as Manifest
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw new FST_TENANT_PACKAGE_INVALID(dir, 'has a package.json that cannot be read', { cause })
  }
}
