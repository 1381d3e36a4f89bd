import { createRequire } from 'node:module'
import { join, sep } from 'node:path'
import { isInstalled } from '../is-installed.ts'

const { cache } = createRequire(import.meta.url)

/** Forgets the CommonJS modules below a folder, and what keeps them alive: the lists of children of those that required them. */
export function dropCommonJs (path: string): void {
  const dropped = new Set<NodeJS.Module>()
  for (const [file, module] of Object.entries(cache)) {
    if (module === undefined || !isBelow(file, path)) continue
    dropped.add(module)
    Reflect.deleteProperty(cache, file)
  }
  // What `createRequire()` requires for is a parent too, and not in the cache.
  const parents = [...dropped].map(({ parent }) => parent)
  for (const parent of new Set([...Object.values(cache), ...parents])) {
    if (parent?.children.some(child => dropped.has(child))) parent.children = parent.children.filter(child => !dropped.has(child))
  }
}

function isBelow (file: string, path: string): boolean {
  return file === path || (file.startsWith(join(path, sep)) && !isInstalled(file))
}
