import { isAbsolute, relative, resolve, sep } from 'node:path'
import { FST_TENANT_ROW_INVALID } from '../../errors.ts'

/** The absolute paths of the folders below which rows may name one. */
export interface TenantFolders {
  root: string
  templates: string
}

/** What a row says of the tenant's folder: at most one of the two. */
export interface FolderColumns {
  id: string
  dir: string | null
  template: string | null
}

/**
 * The absolute path of the folder that a row names. Its code will run, so whoever may write to the table must not be able to name
 * just any folder of the machine: it lies below the one that the source was given. Links that were put there on purpose are followed.
 * Throws FST_TENANT_ROW_INVALID.
 */
export function folderOf ({ id, dir, template }: FolderColumns, { root, templates }: TenantFolders): string | undefined {
  if (dir !== null) return below(root, dir, id, 'dir')
  if (template !== null) return below(templates, template, id, 'template')
  return undefined
}

function below (root: string, name: string, id: string, column: string): string {
  const dir = resolve(root, name)
  const path = relative(root, dir)
  const outside = path === '' || path === '..' || path.startsWith(`..${sep}`) || isAbsolute(path) || isAbsolute(name)
  if (outside) throw new FST_TENANT_ROW_INVALID(id, `${column} must be the relative path of a folder below the one that is meant for such folders`)
  return dir
}
