import { FST_TENANT_NOT_FOUND } from '../errors.ts'
import { FolderChanges } from './folder-changes.ts'
import { SourceChanges } from './source-changes.ts'
import { reloadTemplate } from './template-reload.ts'
import { withoutRepeats } from '../utils/error-for-log.ts'
import type { ResolvedOptions } from '../options.ts'
import type { TemplateLoader } from '../templates/template-loader.ts'
import type { Templates } from '../templates/templates.ts'
import type { TenantLoader } from './loader.ts'
import type { SourceChangesContext } from './source-changes.ts'

/** The objects that changes are read from and applied to. */
export interface ChangesContext extends SourceChangesContext {
  options: Pick<ResolvedOptions, 'source' | 'watch' | 'maxLoading'>
  loader: TenantLoader
  templateLoader: TemplateLoader
  templates: Templates
}

/** Reloads the tenants in memory when their source announces a change or, with `watch`, when their folders change. */
export class Changes {
  readonly #context: ChangesContext
  readonly #source: SourceChanges
  readonly #folders: FolderChanges[] = []

  constructor (context: ChangesContext) {
    const { options, loader, templateLoader, templates, registry, log } = context
    this.#context = context
    this.#source = new SourceChanges(context, (id, onFailure) => this.#reload(id, false, onFailure))
    if (!options.watch) return
    const folders = new FolderChanges(id => this.#reload(id, true), id => registry.isKnown(id), log)
    loader.code.onLoad((id, dir) => folders.add(id, dir))
    const templateFolders = new FolderChanges(name => this.#reloadTemplate(name), name => templates.isKnown(name), log)
    templateLoader.code.onLoad((name, dir) => templateFolders.add(name, dir))
    this.#folders = [folders, templateFolders]
  }

  /** Stops watching. */
  async close (): Promise<void> {
    this.#source.close()
    await Promise.all(this.#folders.map(folders => folders.close()))
  }

  /** Reloads the template and logs the result. Never rejects. */
  async #reloadTemplate (name: string): Promise<void> {
    const { log } = this.#context
    try {
      const { generation, reloaded, failed } = await reloadTemplate(name, true, this.#context)
      log.info({ template: name, generation, reloaded, failed: failed.length }, 'template reloaded')
    } catch (err) {
      log.warn({ err: withoutRepeats(err), template: name }, 'template not reloaded')
    }
  }

  /** Reloads the tenant and logs the result. Never rejects. */
  async #reload (id: string, freshCode: boolean, onFailure?: (error: unknown) => void): Promise<void> {
    const { registry, log } = this.#context
    try {
      await registry.reload(id, freshCode)
      log.info({ tenantId: id, version: registry.active(id)?.version }, 'tenant reloaded')
    } catch (err) {
      onFailure?.(err)
      if (err instanceof FST_TENANT_NOT_FOUND) log.info({ tenantId: id }, 'tenant unloaded: its source no longer knows it, or its config makes it inactive')
      else log.warn({ err: withoutRepeats(err), tenantId: id }, 'tenant not reloaded')
    }
  }
}
