import { sep } from 'node:path'

/** Whether a path lies in an installed package. */
export function isInstalled (path: string): boolean {
  return path.includes(`${sep}node_modules${sep}`)
}
