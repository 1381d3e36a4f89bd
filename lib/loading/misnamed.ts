import { parse } from 'node:path'
import type { FastifyBaseLogger } from 'fastify'
import type { TenantFolder } from './folder.ts'

const PARTS = ['plugins', 'routes', 'schemas', 'services']

/**
 * Warns of what seems to be meant for a part of the tenant's folder and is passed over: `route/`, say, or `routes.js` where no index
 * module can import it.
 */
export function warnOfMisnamed (log: FastifyBaseLogger, folder: TenantFolder, hasIndex: boolean): void {
  for (const entry of folder.entries) {
    const { name, ext } = parse(entry)
    const part = PARTS.find(part => entry !== part && [part, part.slice(0, -1)].includes(name.toLowerCase()))
    if (part === undefined || (hasIndex && ext !== '')) continue
    log.warn({ file: entry }, `this is not loaded: what the tenant has of ${part} is in the folder ${part}/`)
  }
}
