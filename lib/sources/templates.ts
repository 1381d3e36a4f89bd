import { resolve } from 'node:path'
import { check, checkKeys, isObject, isText } from '../utils/check.ts'
import { noSuchFile } from '../utils/no-such-file.ts'
import { isTenantId } from '../utils/tenant-id.ts'
import { toPath } from '../utils/to-path.ts'
import { DirectorySource } from './directory.ts'
import type { InlineTemplate, Templates } from '../../types/index.ts'

/** One template, as its source defines it. `dir` is an absolute path. */
export interface TemplateDefinition extends InlineTemplate { readonly name: string }

/** Where templates come from. */
export interface TemplateSource {
  /** Returns the template of this name, `null` if it does not exist. Rejects when the file system fails. */
  get (name: string): Promise<TemplateDefinition | null>
  /** Returns the names of all templates. Rejects when the file system fails. */
  list (): Promise<string[]>
}

const KEYS = ['dir', 'plugin', 'config']

/**
 * Returns the source for the option `templates`.
 * @throws {FST_TENANT_OPTION_INVALID} when the option is invalid
 */
export function resolveTemplates (templates: Templates): TemplateSource {
  if (typeof templates === 'string' || templates instanceof URL) return new TemplateFolder(templates)
  check(isObject(templates), 'templates', 'a folder, or an object of templates', templates)
  return new InlineTemplates(templates)
}

/** Templates that are subfolders of one folder. The paths come from listing that folder, so a name can never be a path to another place. */
class TemplateFolder implements TemplateSource {
  readonly #folders: DirectorySource

  constructor (dir: string | URL) {
    this.#folders = new DirectorySource(toPath(dir, 'templates'), isTenantId)
  }

  async get (name: string): Promise<TemplateDefinition | null> {
    const found = await this.#folders.get(name).catch(noSuchFile)
    return found?.dir === undefined ? null : { name, dir: found.dir }
  }

  async list (): Promise<string[]> {
    const names: string[] = []
    try {
      for await (const name of this.#folders.list()) names.push(name)
    } catch (error) {
      noSuchFile(error as NodeJS.ErrnoException)
    }
    return names
  }
}

/** Templates that are defined in code. */
class InlineTemplates implements TemplateSource {
  readonly #templates: ReadonlyMap<string, TemplateDefinition>

  constructor (templates: Readonly<Record<string, InlineTemplate>>) {
    this.#templates = new Map(Object.entries(templates).map(([name, template]) => [name, define(name, template)]))
  }

  async get (name: string): Promise<TemplateDefinition | null> {
    return this.#templates.get(name) ?? null
  }

  async list (): Promise<string[]> {
    return [...this.#templates.keys()]
  }
}

function define (name: string, template: InlineTemplate): TemplateDefinition {
  const option = `templates.${name}`
  check(isTenantId(name), option, 'named with 1 to 63 letters, digits, _ and -, the first a letter or a digit', name)
  check(isObject(template), option, 'an object { dir, plugin, config }', template)
  checkKeys(template, KEYS, option)
  const { dir, plugin, config } = template
  check(dir === undefined || isText(dir), `${option}.dir`, 'the path of a folder', dir)
  check(plugin === undefined || typeof plugin === 'function', `${option}.plugin`, 'a plugin', plugin)
  check(config === undefined || isObject(config) || typeof config === 'function', `${option}.config`, 'an object, or a function that returns one', config)
  return { name, ...template, ...(dir !== undefined && { dir: resolve(dir) }) }
}
