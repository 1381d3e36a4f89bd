import { watch } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { FST_TENANT_OPTION_INVALID } from '../errors.ts'
import { noSuchFile } from '../utils/no-such-file.ts'
import { isTenantId } from '../utils/tenant-id.ts'
import { ReadCache } from './read-cache.ts'
import { HOSTS_FILE, readHosts } from '../hosts/hosts-file.ts'
import { SkippedEntries } from './skipped-entries.ts'
import { toPath } from '../utils/to-path.ts'
import type { Dirent } from 'node:fs'
import type { HostIndex } from '../hosts/host-index.ts'
import type { IdCheck } from '../utils/tenant-id.ts'
import type { SourceContext, TenantDefinition, TenantSource } from '../../types/index.ts'

/** Tenants that are subfolders of one folder. Their paths come from listing that folder, never from an id in a request. */
export class DirectorySource implements TenantSource {
  /** The absolute path of the folder that holds the tenants. */
  readonly dir: string
  /** The paths of the tenants' folders by id. */
  readonly #folders: ReadCache<ReadonlyMap<string, string>>
  readonly #hosts: ReadCache<HostIndex>
  readonly #skipped: SkippedEntries

  /**
   * @param dir a relative path starts at the process's working directory
   * @throws {FST_TENANT_OPTION_INVALID} when `dir` is not a path
   */
  constructor (dir: string | URL, isId: IdCheck = isTenantId) {
    this.dir = toPath(dir, 'tenants')
    this.#skipped = new SkippedEntries(isId)
    this.#folders = new ReadCache(this.dir, dir => readFolders(dir, isId, this.#skipped))
    this.#hosts = new ReadCache(join(this.dir, HOSTS_FILE), path => readHosts(path, isId))
  }

  /** @throws {FST_TENANT_OPTION_INVALID} when the folder does not exist */
  async open (context?: SourceContext): Promise<void> {
    const stats = await stat(this.dir).catch(noSuchFile)
    if (stats?.isDirectory() !== true) throw new FST_TENANT_OPTION_INVALID('tenants', `a folder that exists: ${this.dir}`)
    if (context !== undefined) this.#skipped.logTo(context)
    await this.#folders.get()
  }

  /** Rejects when the file system fails. */
  async get (id: string): Promise<TenantDefinition | null> {
    const folders = await this.#folders.get()
    const dir = folders.get(id)
    return dir === undefined || await isGone(dir) ? null : { id, dir }
  }

  /** Rejects when the file system fails. */
  async getMany (ids: readonly string[]): Promise<Map<string, TenantDefinition>> {
    const folders = await this.#folders.get()
    return new Map(ids.flatMap(id => {
      const dir = folders.get(id)
      return dir === undefined ? [] : [[id, { id, dir }] as const]
    }))
  }

  async * list (): AsyncIterable<string> {
    const folders = await this.#folders.get()
    yield * folders.keys()
  }

  async count (): Promise<number> {
    const folders = await this.#folders.get()
    return folders.size
  }

  /**
   * Reads `hosts.json` at the first call, not at boot. Rejects when the file system fails.
   * @throws {FST_TENANT_HOSTS_INVALID} when `hosts.json` is invalid
   */
  async resolveHost (host: string): Promise<string | null> {
    const hosts = await this.#hosts.get().catch(noSuchFile)
    if (hosts !== undefined) return hosts.find(host)
    // Reject if the folder is missing too: the owner of the host is then not known.
    await this.#folders.get()
    return null
  }

  async hasHosts (): Promise<boolean> {
    return ((await this.#hosts.get().catch(noSuchFile))?.size ?? 0) > 0
  }

  watch (changed: () => void): () => void {
    const watcher = watch(this.dir, { persistent: false }, () => changed())
    // The folder has been deleted. The next look-up rejects.
    watcher.on('error', () => changed())
    return () => watcher.close()
  }
}

/**
 * Creates a source of the tenants that are folders in `dir`.
 * @throws {FST_TENANT_OPTION_INVALID} when `dir` is not a path
 */
export function directorySource (dir: string | URL, isId?: IdCheck): DirectorySource {
  return new DirectorySource(dir, isId)
}

async function readFolders (dir: string, isId: IdCheck, skipped: SkippedEntries): Promise<Map<string, string>> {
  const folders = new Map<string, string>()
  const entries = new Map((await readdir(dir, { withFileTypes: true })).map(entry => [entry.name, entry]))
  for (const name of [...entries.keys()].filter(isId).sort()) {
    const path = join(dir, name)
    if (name !== 'node_modules' && !name.startsWith('.') && await isFolder(entries.get(name) as Dirent, path)) folders.set(name, path)
  }
  skipped.report([...entries.values()], folders)
  return folders
}

async function isFolder (entry: Dirent, path: string): Promise<boolean> {
  if (!entry.isSymbolicLink()) return entry.isDirectory()
  try {
    return (await stat(path).catch(noSuchFile))?.isDirectory() ?? false
  } catch {
    // A link that cannot be followed must not hide the other tenants. It counts as a tenant, whose load reports the error.
    return true
  }
}

/** Returns whether a folder has been deleted, or has become a broken link, which does not change the parent folder. */
async function isGone (dir: string): Promise<boolean> {
  try {
    return await stat(dir).catch(noSuchFile) === undefined
  } catch {
    // The load of the tenant reports the error, as for a link in `isFolder()`.
    return false
  }
}
