import { FST_TENANT_HOSTS_INVALID } from '../errors.ts'
import { readJson } from '../utils/read-json.ts'
import { jsonErrorLine } from '../utils/syntax-place.ts'
import { HostIndex } from './host-index.ts'
import type { IdCheck } from '../utils/tenant-id.ts'

/** The name of the file. It lies beside the folders of the tenants. */
export const HOSTS_FILE = 'hosts.json'

/**
 * Reads a JSON file that maps tenant ids to arrays of hosts. Rejects with the file system's error if the file cannot be read.
 * @throws {FST_TENANT_HOSTS_INVALID} when the content is invalid
 */
export async function readHosts (path: string, isId: IdCheck): Promise<HostIndex> {
  const index = new HostIndex()
  for (const [id, hosts] of Object.entries(await readObject(path))) {
    if (!isId(id)) throw new FST_TENANT_HOSTS_INVALID(`'${id}' in ${path} is not a tenant id`)
    if (!isHosts(hosts)) throw new FST_TENANT_HOSTS_INVALID(`the hosts of '${id}' in ${path} must be an array of hosts`)
    index.add(id, hosts)
  }
  return index
}

/** Returns whether a value is an array of strings. `HostIndex` checks that each is a host. */
export function isHosts (value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every(host => typeof host === 'string')
}

async function readObject (path: string): Promise<object> {
  const parsed = await readJson(path).catch((cause: unknown) => {
    throw cause instanceof SyntaxError ? new FST_TENANT_HOSTS_INVALID(`line ${jsonErrorLine(path)} of ${path} is not valid JSON`, { cause }) : cause
  })
  if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)) return parsed
  throw new FST_TENANT_HOSTS_INVALID(`${path} must hold an object that maps tenant ids to arrays of hosts`)
}
