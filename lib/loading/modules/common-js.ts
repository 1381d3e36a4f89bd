import { createRequire } from 'node:module'
import { join, sep } from 'node:path'
import { isInstalled } from '../is-installed.ts'

const { cache } = createRequire(import.meta.url)

/** Removes the CommonJS modules at or below a path from Node's cache, and from the `children` of their parents, which would keep them alive. */
export function dropCommonJs (path: string): void {
  const dropped = new Set<NodeJS.Module>()
  for (const [file, module] of Object.entries(cache)) {
    if (module === undefined || !isBelow(file, path)) continue
    dropped.add(module)
    Reflect.deleteProperty(cache, file)
  }
  // The parent made by `createRequire()` is not in the cache.
  const parents = [...dropped].map(({ parent }) => parent)
  for (const parent of new Set([...Object.values(cache), ...parents])) {
    if (parent?.children.some(child => dropped.has(child))) parent.children = parent.children.filter(child => !dropped.has(child))
  }
}

function isBelow (file: string, path: string): boolean {
  return file === path || (file.startsWith(join(path, sep)) && !isInstalled(file))
}
