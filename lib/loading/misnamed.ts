import { parse } from 'node:path'
import { closestMatch } from 'leven'
import { CONFIG_FILES } from './config.ts'
import { INDEX_FILES } from './index-module.ts'
import { isUnimportant } from '../utils/unimportant.ts'
import type { FastifyBaseLogger } from 'fastify'
import type { TenantFolder } from './folder.ts'

const PARTS = ['plugins', 'routes', 'schemas', 'services']
const MEANT = [...PARTS, 'config', 'index']
/** A folder, a module, or data that somebody may take for a config. */
const LOADABLE = /^(?:|\.(?:[cm]?[jt]sx?|json[5c]?|ya?ml|toml|ini))$/i

/**
 * Warns of what seems to be meant for a part of the tenant's folder and is passed over: `route/`, `confg.js`, `config.yaml`, or `routes.js`
 * where no index module can import it.
 */
export function warnOfMisnamed (log: FastifyBaseLogger, folder: TenantFolder, hasIndex: boolean): void {
  const hasConfig = CONFIG_FILES.some(name => folder.has(name))
  const isPart = (entry: string): boolean => [...PARTS, ...CONFIG_FILES, ...INDEX_FILES].includes(entry)
  for (const entry of folder.entries.filter(entry => !isPart(entry) && !isUnimportant(entry))) {
    const { name, ext } = parse(entry)
    const meant = /^hosts?\.json$/i.test(entry) ? 'hosts' : meantBy(name, ext)
    // An index module may import the file, whatever it is called.
    if (meant === undefined || (hasIndex && ext !== '' && (meant !== 'config' || hasConfig))) continue
    log.warn({ file: entry }, `this is not loaded: ${whereIs(meant)}`)
  }
}

function meantBy (name: string, ext: string): string | undefined {
  if (!LOADABLE.test(ext)) return undefined
  const lower = name.toLowerCase()
  const part = PARTS.find(part => [part, part.slice(0, -1)].includes(lower))
  return part ?? closestMatch(lower, MEANT, { maxDistance: lower.length < 5 ? 0 : 2 })
}

function whereIs (meant: string): string {
  if (meant === 'hosts') return 'hosts.json lies beside the folders of the tenants'
  if (meant === 'index') return `the index module is one of ${INDEX_FILES.join(', ')}`
  if (meant === 'config') return `the tenant's config is one of ${CONFIG_FILES.join(', ')}`
  return `what the tenant has of ${meant} is in the folder ${meant}/`
}
