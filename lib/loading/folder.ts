import { readdir, realpath } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import { TenantFileError } from './file-error.ts'
import { filesBelow } from './files-below.ts'
import { warnOfForeign } from './foreign.ts'
import { LoadProgress } from './load-progress.ts'
import { placeOf } from './place.ts'
import type { FastifyBaseLogger } from 'fastify'

/** Declarations and tests lie beside the code that they are about. */
const NO_CODE = /\.d\.[cm]?ts$|\.(?:test|spec)\.[^.]+$/
const CODE_OR_JSON = /\.(?:[cm]?[jt]s|json)$/

/** A tenant's folder, while it is loaded. */
export class TenantFolder {
  readonly dir: string
  /** The names of what is directly in the folder. */
  readonly entries: readonly string[]
  /** Which of its files the load is at. */
  readonly progress: LoadProgress
  /** Node knows modules by the paths behind symbolic links. */
  readonly #real: string

  private constructor (dir: string, real: string, entries: readonly string[], progress: LoadProgress) {
    this.dir = dir
    this.entries = entries
    this.progress = progress
    this.#real = real
  }

  /** The folder at the absolute path `dir`. Throws an Error when there is none. */
  static async open (dir: string, progress: LoadProgress = new LoadProgress()): Promise<TenantFolder> {
    const entries = await readdir(dir).catch((cause: NodeJS.ErrnoException) => {
      throw new Error(cause.code === 'ENOTDIR' ? "The tenant's folder is a file" : "The tenant's folder cannot be read", { cause })
    })
    return new TenantFolder(dir, await realpath(dir), entries, progress)
  }

  /** The absolute path of something in the folder. */
  path (name: string): string {
    return join(this.dir, name)
  }

  /** How errors name a file: relative to the folder, with forward slashes. */
  nameOf (file: string): string {
    return relative(this.dir, file).replaceAll(sep, '/')
  }

  /** Runs what `file` does, and names it in what it throws. */
  async inFile<Result> (file: string, work: () => Result | Promise<Result>): Promise<Result> {
    return this.progress.track(this.nameOf(file), () => this.naming(file, work))
  }

  /** The same for work that goes on in several files, each of which has its own part. */
  async naming<Result> (file: string, work: () => Result | Promise<Result>): Promise<Result> {
    try {
      return await work()
    } catch (error) {
      throw this.fileError(file, error)
    }
  }

  /** An error that names `file`, and the line where the error is; an error that names a file already stays as it is. */
  fileError (file: string, cause: unknown): TenantFileError {
    if (cause instanceof TenantFileError) return cause
    return new TenantFileError(this.nameOf(file), cause, this.#placeOf(cause, file))
  }

  /** As ` (at lib/smtp.js:12)`. */
  #placeOf (cause: unknown, file: string): string {
    const place = placeOf(cause, file)
    if (place === undefined) return ''
    const base = place.file.startsWith(this.#real) ? this.#real : this.dir
    return ` (at ${relative(base, place.file).replaceAll(sep, '/')}:${place.line})`
  }

  /** The one file of the folder that has one of these names. Throws an Error naming them when there are several. */
  one (names: readonly string[]): string | undefined {
    const found = names.filter(name => this.has(name))
    if (found.length > 1) throw new Error(`Only one of ${found.join(' and ')} may exist`)
    return found[0] === undefined ? undefined : this.path(found[0])
  }

  /** The modules and JSON files below a sub-folder, sorted by name; none when there is no such folder. Warns of others. */
  async modulesAndJson (name: string, log: FastifyBaseLogger): Promise<string[]> {
    if (!this.has(name)) return []
    const files = await filesBelow(this.path(name))
    warnOfForeign(log, files.filter(file => !CODE_OR_JSON.test(file)).map(file => this.nameOf(file)))
    return files.filter(file => CODE_OR_JSON.test(file) && !NO_CODE.test(file) && !this.#isHidden(file)).sort()
  }

  /** Whether there is such an entry. */
  has (name: string): boolean {
    return this.entries.includes(name)
  }

  #isHidden (file: string): boolean {
    return this.nameOf(file).split('/').some(part => part.startsWith('.') || part === '__MACOSX')
  }
}
