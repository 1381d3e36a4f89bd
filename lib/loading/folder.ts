import { readdir } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import { filesBelow } from './files-below.ts'

/** What went wrong in one of a tenant's files: the message names the file, relative to the tenant's folder; `cause` is the error itself. */
export class TenantFileError extends Error {
  override readonly name = 'TenantFileError'
}

/** Declarations and tests lie beside the code that they are about. */
const NO_CODE = /\.d\.[cm]?ts$|\.(?:test|spec)\.[^.]+$/
const CODE_OR_JSON = /\.(?:[cm]?[jt]s|json)$/

/** A tenant's folder, while it is loaded. */
export class TenantFolder {
  readonly dir: string
  /** The names of what is directly in the folder. */
  readonly entries: readonly string[]

  private constructor (dir: string, entries: readonly string[]) {
    this.dir = dir
    this.entries = entries
  }

  /** The folder at the absolute path `dir`. Throws an Error when there is none. */
  static async open (dir: string): Promise<TenantFolder> {
    const entries = await readdir(dir).catch((cause: NodeJS.ErrnoException) => {
      throw new Error(cause.code === 'ENOTDIR' ? "The tenant's folder is a file" : "The tenant's folder cannot be read", { cause })
    })
    return new TenantFolder(dir, entries)
  }

  /** The absolute path of something in the folder. */
  path (name: string): string {
    return join(this.dir, name)
  }

  /** How errors name a file: relative to the folder, with forward slashes. */
  nameOf (file: string): string {
    return relative(this.dir, file).replaceAll(sep, '/')
  }

  /** Runs `work`, and names `file` in what it throws. */
  async inFile<Result> (file: string, work: () => Result | Promise<Result>): Promise<Result> {
    try {
      return await work()
    } catch (error) {
      throw this.fileError(file, error)
    }
  }

  /** An error that names `file`; an error that names a file already stays as it is. */
  fileError (file: string, cause: unknown): TenantFileError {
    if (cause instanceof TenantFileError) return cause
    return new TenantFileError(`${this.nameOf(file)}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
  }

  /** The one file of the folder that has one of these names. Throws an Error naming them when there are several. */
  one (names: readonly string[]): string | undefined {
    const found = names.filter(name => this.has(name))
    if (found.length > 1) throw new Error(`Only one of ${found.join(' and ')} may exist`)
    return found[0] === undefined ? undefined : this.path(found[0])
  }

  /** The modules and JSON files below a sub-folder, sorted by name; none when there is no such folder. */
  async modulesAndJson (name: string): Promise<string[]> {
    if (!this.has(name)) return []
    const files = await filesBelow(this.path(name))
    return files.filter(file => CODE_OR_JSON.test(file) && !NO_CODE.test(file) && !this.#isHidden(file)).sort()
  }

  /** Whether there is such an entry. */
  has (name: string): boolean {
    return this.entries.includes(name)
  }

  #isHidden (file: string): boolean {
    return this.nameOf(file).split('/').some(part => part.startsWith('.'))
  }
}
