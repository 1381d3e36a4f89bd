import { readdir } from 'node:fs/promises'
import { join } from 'node:path'

/** The paths of all files below a folder, but for installed packages. Throws what the file system throws. */
export async function filesBelow (dir: string): Promise<string[]> {
  const entries = await readdir(dir, { withFileTypes: true })
  const paths = await Promise.all(entries.filter(({ name }) => name !== 'node_modules').map(async entry => {
    const path = join(dir, entry.name)
    return entry.isDirectory() ? filesBelow(path) : [path]
  }))
  return paths.flat()
}
