import { readdir, stat } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'

/** What went wrong in one of a tenant's files: the message names the file, relative to the tenant's folder; `cause` is the error itself. */
export class TenantFileError extends Error {
  override readonly name = 'TenantFileError'
}

/** Declarations and tests lie beside the code that they are about. */
const NO_CODE = /\.d\.[cm]?ts$|\.(?:test|spec)\.[^.]+$/
const CODE_OR_JSON = /\.(?:[cm]?[jt]s|json)$/

/** A tenant's folder. */
export class TenantFolder {
  readonly dir: string

  private constructor (dir: string) {
    this.dir = dir
  }

  /** The folder at the absolute path `dir`. Throws an Error when there is none. */
  static async open (dir: string): Promise<TenantFolder> {
    const stats = await stat(dir).catch((cause: unknown) => {
      throw new Error("The tenant's folder cannot be read", { cause })
    })
    if (!stats.isDirectory()) throw new Error("The tenant's folder is a file")
    return new TenantFolder(dir)
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
  async one (names: readonly string[]): Promise<string | undefined> {
    const entries = await this.entries()
    const found = names.filter(name => entries.includes(name))
    if (found.length > 1) throw new Error(`Only one of ${found.join(' and ')} may exist`)
    return found[0] === undefined ? undefined : this.path(found[0])
  }

  /** The modules and JSON files below a sub-folder, sorted by name; none when there is no such folder. */
  async modulesAndJson (name: string): Promise<string[]> {
    if (!await this.has(name)) return []
    const entries = await readdir(this.path(name), { recursive: true, withFileTypes: true })
    return entries
      .filter(entry => !entry.isDirectory())
      .map(entry => join(entry.parentPath, entry.name))
      .filter(file => CODE_OR_JSON.test(file) && !NO_CODE.test(file) && !this.#isHidden(file))
      .sort()
  }

  /** Whether there is such a sub-folder. */
  async has (name: string): Promise<boolean> {
    return (await this.entries()).includes(name)
  }

  /** The names of what is directly in the folder. */
  async entries (): Promise<string[]> {
    return readdir(this.dir)
  }

  #isHidden (file: string): boolean {
    return this.nameOf(file).split('/').some(part => part.startsWith('.') || part === 'node_modules')
  }
}
