import { FST_TENANT_HOSTS_INVALID } from '../errors.ts'
import { readJson } from '../utils/read-json.ts'
import { jsonErrorLine } from '../utils/syntax-place.ts'
import { HostIndex } from './host-index.ts'
import type { IdCheck } from '../utils/tenant-id.ts'

/** Reads a JSON file that gives the hosts of each tenant, by its id. Throws FST_TENANT_HOSTS_INVALID, and what the file system throws. */
export async function readHosts (path: string, isId: IdCheck): Promise<HostIndex> {
  const index = new HostIndex()
  for (const [id, hosts] of Object.entries(await readObject(path))) {
    if (!isId(id)) throw new FST_TENANT_HOSTS_INVALID(`'${id}', in ${path}, is no tenant id`)
    if (!isHosts(hosts)) throw new FST_TENANT_HOSTS_INVALID(`those of ${id}, in ${path}, must be an array of hosts`)
    index.add(id, hosts)
  }
  return index
}

/** Whether a value may be the hosts of a tenant: which of them are hosts is seen when they are indexed. */
export function isHosts (value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every(host => typeof host === 'string')
}

async function readObject (path: string): Promise<object> {
  const parsed = await readJson(path).catch((cause: unknown) => {
    throw cause instanceof SyntaxError ? new FST_TENANT_HOSTS_INVALID(`line ${jsonErrorLine(path)} of ${path} is no JSON`, { cause }) : cause
  })
  if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)) return parsed
  throw new FST_TENANT_HOSTS_INVALID(`${path} must have an object of arrays by tenant id`)
}
