import { parse } from 'node:path'
import { closestMatch } from 'leven'
import { CONFIG_FILES } from './config.ts'
import { INDEX_FILES } from './index-module.ts'
import { isUnimportant } from '../utils/unimportant.ts'
import type { FastifyBaseLogger } from 'fastify'
import type { TenantFolder } from './folder.ts'

const PARTS = ['plugins', 'routes', 'schemas', 'services']
const MEANT = [...PARTS, 'config', 'index']
/** The extensions of folders (none), of modules, and of data files that may be meant as a config. */
const LOADABLE = /^(?:|\.(?:[cm]?[jt]sx?|json[5c]?|ya?ml|toml|ini))$/i

/**
 * Warns about entries that look like a misspelt part of the tenant's folder and are not loaded: `route/`, `confg.js`, `config.yaml`, or
 * `routes.js` if there is no index module that could import it.
 */
export function warnOfMisnamedEntries (log: FastifyBaseLogger, folder: TenantFolder, hasIndex: boolean): void {
  const hasConfig = CONFIG_FILES.some(name => folder.has(name))
  const isPart = (entry: string): boolean => [...PARTS, ...CONFIG_FILES, ...INDEX_FILES].includes(entry)
  for (const entry of folder.entries.filter(entry => !isPart(entry) && !isUnimportant(entry))) {
    const { name, ext } = parse(entry)
    const meant = /^hosts?\.json$/i.test(entry) ? 'hosts' : meantBy(name, ext)
    // An index module may import a file of any name.
    if (meant === undefined || (hasIndex && ext !== '' && (meant !== 'config' || hasConfig))) continue
    log.warn({ file: entry }, `this is not loaded: ${hintFor(meant)}`)
  }
}

function meantBy (name: string, ext: string): string | undefined {
  if (!LOADABLE.test(ext)) return undefined
  const lower = name.toLowerCase()
  const part = PARTS.find(part => [part, part.slice(0, -1)].includes(lower))
  return part ?? closestMatch(lower, MEANT, { maxDistance: lower.length < 5 ? 0 : 2 })
}

function hintFor (meant: string): string {
  if (meant === 'hosts') return 'hosts.json belongs beside the folders of the tenants'
  if (meant === 'index') return `name the index module one of ${INDEX_FILES.join(', ')}`
  if (meant === 'config') return `name the tenant's config one of ${CONFIG_FILES.join(', ')}`
  return `the tenant's ${meant} belong in the folder ${meant}/`
}
