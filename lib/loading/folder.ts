import { readdir, realpath } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import { TenantFileError } from './file-error.ts'
import { filesBelow } from './files-below.ts'
import { LoadProgress } from './load-progress.ts'
import { placeOf } from './place.ts'
import { warnOfUnloadableFiles } from './unloadable-files.ts'
import type { FastifyBaseLogger } from 'fastify'

/** Declarations and tests, which are not loaded. */
const NO_CODE = /\.d\.[cm]?ts$|\.(?:test|spec)\.[^.]+$/
const CODE_OR_JSON = /\.(?:[cm]?[jt]s|json)$/

/** The folder of a tenant that is being loaded. */
export class TenantFolder {
  readonly dir: string
  /** The names of the files and folders directly in the folder. */
  readonly entries: readonly string[]
  /** Tracks the files that the load is working on. */
  readonly progress: LoadProgress
  /** The path behind symbolic links: Node identifies modules by it. */
  readonly #real: string

  private constructor (dir: string, real: string, entries: readonly string[], progress: LoadProgress) {
    this.dir = dir
    this.entries = entries
    this.progress = progress
    this.#real = real
  }

  /**
   * Reads the folder at the absolute path `dir`.
   * @throws {Error} when it cannot be read
   */
  static async open (dir: string, progress: LoadProgress = new LoadProgress()): Promise<TenantFolder> {
    const entries = await readdir(dir).catch((cause: NodeJS.ErrnoException) => {
      throw new Error(cause.code === 'ENOTDIR' ? "The tenant's folder is a file" : "The tenant's folder cannot be read", { cause })
    })
    return new TenantFolder(dir, await realpath(dir), entries, progress)
  }

  /** The absolute path of an entry of the folder. */
  path (name: string): string {
    return join(this.dir, name)
  }

  /** The name of a file in errors and log lines: its path relative to the folder, with forward slashes. */
  nameOf (file: string): string {
    return relative(this.dir, file).replaceAll(sep, '/')
  }

  /** Runs the work of one file and tracks its progress. An error names the file. */
  async inFile<Result> (file: string, work: () => Result | Promise<Result>): Promise<Result> {
    return this.progress.track(this.nameOf(file), () => this.wrapErrors(file, work))
  }

  /** Runs work and wraps its error so that it names `file`. Unlike `inFile()`, does not track progress. */
  async wrapErrors<Result> (file: string, work: () => Result | Promise<Result>): Promise<Result> {
    try {
      return await work()
    } catch (error) {
      throw this.fileError(file, error)
    }
  }

  /** Wraps an error so that it names `file` and the line. An error that names a file already is returned unchanged. */
  fileError (file: string, cause: unknown): TenantFileError {
    if (cause instanceof TenantFileError) return cause
    return new TenantFileError(this.nameOf(file), cause, this.#placeOf(cause, file))
  }

  /** The position of an error, for example ` (at lib/smtp.js:12)`. */
  #placeOf (cause: unknown, file: string): string {
    const place = placeOf(cause, file)
    if (place === undefined) return ''
    const base = place.file.startsWith(this.#real) ? this.#real : this.dir
    return ` (at ${relative(base, place.file).replaceAll(sep, '/')}:${place.line})`
  }

  /**
   * The path of the file that has one of these names; `undefined` when there is none.
   * @throws {Error} naming the files when there are several
   */
  findOne (names: readonly string[]): string | undefined {
    const found = names.filter(name => this.has(name))
    if (found.length > 1) throw new Error(`Only one of ${found.join(' and ')} may exist`)
    return found[0] === undefined ? undefined : this.path(found[0])
  }

  /** The modules and JSON files below a sub-folder, sorted by path. Empty when there is no such folder. Warns about other files. */
  async modulesAndJson (name: string, log: FastifyBaseLogger): Promise<string[]> {
    if (!this.has(name)) return []
    const files = await filesBelow(this.path(name))
    warnOfUnloadableFiles(log, files.filter(file => !CODE_OR_JSON.test(file)).map(file => this.nameOf(file)))
    return files.filter(file => CODE_OR_JSON.test(file) && !NO_CODE.test(file) && !this.#isHidden(file)).sort()
  }

  /** Whether the folder has an entry of this name. */
  has (name: string): boolean {
    return this.entries.includes(name)
  }

  #isHidden (file: string): boolean {
    return this.nameOf(file).split('/').some(part => part.startsWith('.') || part === '__MACOSX')
  }
}
