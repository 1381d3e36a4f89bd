import { isAbsolute, relative, resolve, sep } from 'node:path'
import { FST_TENANT_ROW_INVALID } from '../../errors.ts'

/**
 * Returns the absolute path of the folder that a row names. The folder's code will run, so write access to the table must not allow
 * running arbitrary files: the folder must lie below `root`, an absolute path. Symbolic links inside `root` are followed.
 * @throws {FST_TENANT_ROW_INVALID} when the folder does not lie below `root`
 */
export function folderOf (id: string, dir: string, root: string): string {
  const path = resolve(root, dir)
  const below = relative(root, path)
  const outside = below === '' || below === '..' || below.startsWith(`..${sep}`) || isAbsolute(below) || isAbsolute(dir)
  if (outside) throw new FST_TENANT_ROW_INVALID(id, 'dir must be a relative path that stays below the allowed folder')
  return path
}
