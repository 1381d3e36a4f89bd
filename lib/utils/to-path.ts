import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { FST_TENANT_OPTION_INVALID } from '../errors.ts'

/**
 * Returns the absolute path of a folder. A relative path starts at the working directory.
 * @throws {FST_TENANT_OPTION_INVALID} naming `option` when `dir` is neither a path nor a file URL
 */
export function toPath (dir: string | URL, option: string): string {
  if (typeof dir === 'string' && dir !== '') return resolve(dir)
  if (dir instanceof URL && dir.protocol === 'file:') return fileURLToPath(dir)
  throw new FST_TENANT_OPTION_INVALID(option, 'the path or the file URL of a folder')
}
