import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { isAnyId, isTenantId } from '../utils/tenant-id.ts'
import { TenantFolder } from '../loading/folder.ts'
import { readIndex } from '../loading/index-module.ts'
import { directorySource } from '../sources/directory.ts'
import { DistinctSource } from '../sources/distinct.ts'
import { NpmSource } from '../sources/npm.ts'
import { mainModule } from '../sources/packages.ts'
import type { ProjectPackage } from '../sources/packages.ts'
import type { ResolvedServerConfig, TenantSource } from '../../types/index.ts'

/** Returns the source of a server's tenants: the tenants' folders and the packages that match `tenants.npmPattern`. */
export function tenantSource ({ root, security, tenants: { path, npmPattern } }: ResolvedServerConfig): TenantSource {
  const isId = security.validateInputs ? isTenantId : isAnyId
  const folders = directorySource(resolve(root, path), isId)
  if (npmPattern === undefined) return folders
  const packages = new NpmSource({ root, pattern: npmPattern, isId, readOwnId })
  return existsSync(folders.dir) ? new DistinctSource([folders, packages]) : packages
}

/** Returns the id that a package exports: `TENANT_ID` or `NAME` of its main module, or of its index module if it has no main module. */
export async function readOwnId (project: ProjectPackage): Promise<string | undefined> {
  const folder = await TenantFolder.open(project.dir)
  const main = await readIndex(folder, mainModule(project) ?? undefined)
  return main?.TENANT_ID ?? main?.NAME
}
