import { readdir } from 'node:fs/promises'
import { join } from 'node:path'

/** Returns the paths of all files below a folder, except those in `node_modules`. Throws the errors of the file system. */
export async function filesBelow (dir: string): Promise<string[]> {
  const entries = await readdir(dir, { withFileTypes: true })
  const paths = await Promise.all(entries.filter(({ name }) => name !== 'node_modules').map(async entry => {
    const path = join(dir, entry.name)
    return entry.isDirectory() ? filesBelow(path) : [path]
  }))
  return paths.flat()
}
