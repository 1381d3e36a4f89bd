import { watch } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { FST_TENANT_OPTION_INVALID } from '../errors.ts'
import { isTenantId } from '../identification/tenant-id.ts'
import type { Dirent } from 'node:fs'
import type { IdCheck } from '../identification/tenant-id.ts'
import type { TenantDefinition, TenantSource } from '../../types/index.ts'

/** A folder's content at one time. */
interface Listing {
  /** When the folder last changed, in ns since the epoch. */
  mtime: bigint
  /** Whether a later change must have another mtime. */
  lasting: boolean
  /** The paths of the tenants' folders by id. */
  folders: ReadonlyMap<string, string>
}

/** File systems may give the same mtime to changes this close to each other, in ms. */
const MTIME_GRANULARITY = 1000

/** Tenants that are folders of one folder. Which folder is whose is read from it: no path is ever made from an id that was asked for. */
export class DirectorySource implements TenantSource {
  /** The absolute path of the folder. */
  readonly dir: string
  readonly #isId: IdCheck
  #listing: Listing | undefined
  #running: Promise<Listing> | undefined
  #next: Promise<Listing> | undefined

  /** A relative path starts at the process's working directory. Throws FST_TENANT_OPTION_INVALID when `dir` is no path. */
  constructor (dir: string | URL, isId: IdCheck = isTenantId) {
    this.dir = toPath(dir)
    this.#isId = isId
  }

  /** Throws FST_TENANT_OPTION_INVALID when there is no such folder. */
  async open (): Promise<void> {
    const stats = await existing(stat(this.dir))
    if (stats?.isDirectory() !== true) throw new FST_TENANT_OPTION_INVALID('tenants', `a folder that exists: ${this.dir}`)
  }

  /** Throws what the file system throws. */
  async get (id: string): Promise<TenantDefinition | null> {
    const { folders } = await this.#fresh()
    const dir = folders.get(id)
    return dir === undefined ? null : { id, dir }
  }

  async * list (): AsyncIterable<string> {
    const { folders } = await this.#fresh()
    yield * folders.keys()
  }

  async count (): Promise<number> {
    const { folders } = await this.#fresh()
    return folders.size
  }

  watch (changed: () => void): () => void {
    const watcher = watch(this.dir, { persistent: false }, changed)
    // The folder went away: what is asked for next will say so.
    watcher.on('error', changed)
    return () => watcher.close()
  }

  /**
   * The folder as it is now. Those who ask at the same time share the answer, but not one that was already on its way: it may
   * have missed what has changed since.
   */
  #fresh (): Promise<Listing> {
    this.#next ??= this.#afterRunning().then(() => {
      this.#running = this.#next
      this.#next = undefined
      return this.#refresh()
    })
    return this.#next
  }

  async #afterRunning (): Promise<void> {
    // Its failure is told to those who wait for it.
    await Promise.allSettled([this.#running])
  }

  async #refresh (): Promise<Listing> {
    const { mtimeNs, mtimeMs } = await stat(this.dir, { bigint: true })
    if (this.#listing?.lasting === true && this.#listing.mtime === mtimeNs) return this.#listing
    const lasting = Date.now() - Number(mtimeMs) > MTIME_GRANULARITY
    this.#listing = { mtime: mtimeNs, lasting, folders: await readFolders(this.dir, this.#isId) }
    return this.#listing
  }
}

/** The source of the tenants that are folders in `dir`. Throws FST_TENANT_OPTION_INVALID when `dir` is no path. */
export function directorySource (dir: string | URL, isId?: IdCheck): DirectorySource {
  return new DirectorySource(dir, isId)
}

function toPath (dir: string | URL): string {
  if (typeof dir === 'string' && dir !== '') return resolve(dir)
  if (dir instanceof URL && dir.protocol === 'file:') return fileURLToPath(dir)
  throw new FST_TENANT_OPTION_INVALID('tenants', 'the path or the file URL of a folder')
}

async function readFolders (dir: string, isId: IdCheck): Promise<Map<string, string>> {
  const folders = new Map<string, string>()
  const entries = new Map((await readdir(dir, { withFileTypes: true })).map(entry => [entry.name, entry]))
  for (const name of [...entries.keys()].filter(isId).sort()) {
    const path = join(dir, name)
    if (name !== 'node_modules' && !name.startsWith('.') && await isFolder(entries.get(name) as Dirent, path)) folders.set(name, path)
  }
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

/** What is there; `null` when nothing is. */
async function existing<Result> (work: Promise<Result>): Promise<Result | null> {
  try {
    return await work
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}
