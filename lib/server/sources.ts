import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { isAnyId, isTenantId } from '../identification/tenant-id.ts'
import { directorySource } from '../sources/directory.ts'
import { DistinctSource } from '../sources/distinct.ts'
import { NpmSource } from '../sources/npm.ts'
import type { ResolvedServerConfig, TenantSource } from '../../types/index.ts'

/** Where the tenants of a server come from: their folders, and the packages that match `tenants.npmPattern`. */
export function tenantSource ({ root, security, tenants: { path, npmPattern } }: ResolvedServerConfig): TenantSource {
  const isId = security.validateInputs ? isTenantId : isAnyId
  const folders = directorySource(resolve(root, path), isId)
  if (npmPattern === undefined) return folders
  const packages = new NpmSource({ root, pattern: npmPattern, isId })
  return existsSync(folders.dir) ? new DistinctSource([folders, packages]) : packages
}
