import { watch } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { FST_TENANT_OPTION_INVALID } from '../errors.ts'
import { isTenantId } from '../utils/tenant-id.ts'
import { Fresh } from './fresh.ts'
import { readHosts } from '../hosts/hosts-file.ts'
import { PassedOver } from './passed-over.ts'
import { toPath } from '../utils/to-path.ts'
import type { Dirent } from 'node:fs'
import type { HostIndex } from '../hosts/host-index.ts'
import type { IdCheck } from '../utils/tenant-id.ts'
import type { SourceContext, TenantDefinition, TenantSource } from '../../types/index.ts'

/** The file in the folder that says which hosts are whose. It is no folder, and so no tenant. */
const HOSTS_FILE = 'hosts.json'

/** Tenants that are folders of one folder. Which folder is whose is read from it: no path is ever made from an id that was asked for. */
export class DirectorySource implements TenantSource {
  /** The absolute path of the folder. */
  readonly dir: string
  /** The paths of the tenants' folders by id. */
  readonly #folders: Fresh<ReadonlyMap<string, string>>
  readonly #hosts: Fresh<HostIndex>
  readonly #passedOver: PassedOver

  /** A relative path starts at the process's working directory. Throws FST_TENANT_OPTION_INVALID when `dir` is no path. */
  constructor (dir: string | URL, isId: IdCheck = isTenantId) {
    this.dir = toPath(dir, 'tenants')
    this.#passedOver = new PassedOver(isId)
    this.#folders = new Fresh(this.dir, dir => readFolders(dir, isId, this.#passedOver))
    this.#hosts = new Fresh(join(this.dir, HOSTS_FILE), path => readHosts(path, isId))
  }

  /** Throws FST_TENANT_OPTION_INVALID when there is no such folder. */
  async open (context?: SourceContext): Promise<void> {
    const stats = await existing(stat(this.dir))
    if (stats?.isDirectory() !== true) throw new FST_TENANT_OPTION_INVALID('tenants', `a folder that exists: ${this.dir}`)
    if (context !== undefined) this.#passedOver.open(context)
    await this.#folders.get()
  }

  /** Throws what the file system throws. */
  async get (id: string): Promise<TenantDefinition | null> {
    const folders = await this.#folders.get()
    const dir = folders.get(id)
    return dir === undefined || await isGone(dir) ? null : { id, dir }
  }

  /** Throws what the file system throws. */
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

  /** Read when a host is first asked for, and never at boot. Throws FST_TENANT_HOSTS_INVALID, and what the file system throws. */
  async resolveHost (host: string): Promise<string | null> {
    const hosts = await existing(this.#hosts.get())
    if (hosts !== null) return hosts.find(host)
    // Where the folder is gone too, it is not known whose the host is.
    await this.#folders.get()
    return null
  }

  async hasHosts (): Promise<boolean> {
    return ((await existing(this.#hosts.get()))?.size ?? 0) > 0
  }

  watch (changed: () => void): () => void {
    const watcher = watch(this.dir, { persistent: false }, () => changed())
    // The folder went away: what is asked for next will say so.
    watcher.on('error', () => changed())
    return () => watcher.close()
  }
}

/** The source of the tenants that are folders in `dir`. Throws FST_TENANT_OPTION_INVALID when `dir` is no path. */
export function directorySource (dir: string | URL, isId?: IdCheck): DirectorySource {
  return new DirectorySource(dir, isId)
}

async function readFolders (dir: string, isId: IdCheck, passedOver: PassedOver): Promise<Map<string, string>> {
  const folders = new Map<string, string>()
  const entries = new Map((await readdir(dir, { withFileTypes: true })).map(entry => [entry.name, entry]))
  for (const name of [...entries.keys()].filter(isId).sort()) {
    const path = join(dir, name)
    if (name !== 'node_modules' && !name.startsWith('.') && await isFolder(entries.get(name) as Dirent, path)) folders.set(name, path)
  }
  passedOver.note([...entries.values()], folders)
  return folders
}

async function isFolder (entry: Dirent, path: string): Promise<boolean> {
  if (!entry.isSymbolicLink()) return entry.isDirectory()
  try {
    return (await existing(stat(path)))?.isDirectory() ?? false
  } catch {
    // One link that cannot be followed must not hide the other tenants. It counts as a tenant, whose load will say what is wrong.
    return true
  }
}

/** Whether a folder is not there any more, or is a link to nowhere by now: that changes nothing in the folder above. */
async function isGone (dir: string): Promise<boolean> {
  try {
    return await existing(stat(dir)) === null
  } catch {
    // As in `isFolder()`.
    return false
  }
}

/** What is there; `null` when nothing is. */
async function existing<Result> (work: Promise<Result>): Promise<Result | null> {
  try {
    return await work
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}
