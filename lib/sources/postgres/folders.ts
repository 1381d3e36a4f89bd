import { isAbsolute, relative, resolve, sep } from 'node:path'
import { FST_TENANT_ROW_INVALID } from '../../errors.ts'

/** The absolute paths of the allowed folders: a row may name only folders below them. */
export interface TenantFolders {
  /** For the column `dir`. */
  root: string
  /** For the column `template`. */
  templates: string
}

/** The columns that name a tenant's folder. At most one of `dir` and `template` is set. */
export interface FolderColumns {
  id: string
  dir: string | null
  template: string | null
}

/**
 * Returns the absolute path of the folder that a row names, `undefined` if it names none. The folder's code will run, so write access
 * to the table must not allow running arbitrary files: the folder must lie below an allowed folder. Symbolic links inside the allowed
 * folder are followed.
 * @throws {FST_TENANT_ROW_INVALID} when the folder does not lie below the allowed folder
 */
export function folderOf ({ id, dir, template }: FolderColumns, { root, templates }: TenantFolders): string | undefined {
  if (dir !== null) return resolveBelow(root, dir, id, 'dir')
  if (template !== null) return resolveBelow(templates, template, id, 'template')
  return undefined
}

function resolveBelow (root: string, name: string, id: string, column: string): string {
  const dir = resolve(root, name)
  const path = relative(root, dir)
  const outside = path === '' || path === '..' || path.startsWith(`..${sep}`) || isAbsolute(path) || isAbsolute(name)
  if (outside) throw new FST_TENANT_ROW_INVALID(id, `${column} must be a relative path that stays below the allowed folder`)
  return dir
}
