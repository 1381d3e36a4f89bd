import { FST_TENANT_TEMPLATE_FAILED, FST_TENANT_TEMPLATE_NOT_FOUND, FST_TENANT_TEMPLATE_SHARED } from '../errors.ts'
import { Failures } from '../generations/failures.ts'
import { processReloader } from '../loading/modules/module-reloader.ts'
import { requestTenantOf } from '../leases/request-tenant.ts'
import { asError } from '../utils/as-error.ts'
import { debug } from '../utils/debug.ts'
import { withDeadline } from '../utils/deadline.ts'
import { withoutRepeats } from '../utils/error-for-log.ts'
import { logFailure } from '../utils/log-failure.ts'
import { loadTemplate } from './load-template.ts'
import { refuseTenantOptions } from './template-options.ts'
import { TemplateGeneration } from './template-generation.ts'
import type { ParentApp } from '../app/parent-app.ts'
import type { BootContext } from '../generations/boot-context.ts'
import type { LoadContext } from '../generations/load-context.ts'
import type { Build, Slot, SlotFunctions } from '../generations/slot.ts'
import type { ResolvedOptions } from '../options.ts'
import type { Scope } from '../scope/scope.ts'
import type { TenantAppContext } from '../scope/tenant-app.ts'
import type { TemplateDefinition } from '../sources/templates.ts'
import type { Template } from '../../types/index.ts'

/** The objects that templates are loaded with. */
export interface TemplateLoaderContext {
  options: ResolvedOptions
  boot: BootContext
  loads: LoadContext
  /** The app that templates are made in. */
  parent: ParentApp
  functions: TenantAppContext
  /** Called when a template has been loaded. */
  onLoaded: (name: string) => void
}

/** One template's place in memory. */
export type TemplateSlot = Slot<TemplateGeneration, TemplateDefinition, null>

/** Called before a template is loaded from a folder. */
export type TemplateFolderListener = (name: string, dir: string) => void

/** Loads and closes generations of templates. */
export class TemplateLoader implements SlotFunctions<TemplateGeneration, TemplateDefinition, null> {
  readonly kind = 'template'
  readonly #context: TemplateLoaderContext
  readonly #failures = new Failures()
  readonly #reloader = processReloader.open()
  readonly #folderListeners: TemplateFolderListener[] = []

  constructor (context: TemplateLoaderContext) {
    this.#context = context
  }

  /** Calls `listener` before each load from a folder. */
  onFolder (listener: TemplateFolderListener): void {
    this.#folderListeners.push(listener)
  }

  /** @throws {FST_TENANT_TEMPLATE_NOT_FOUND} when there is no such template; the message lists those that exist */
  async definitionOf (name: string): Promise<TemplateDefinition> {
    const { boot, options: { templates } } = this.#context
    const definition = await boot.run(() => templates.get(name))
    if (definition === null) throw new FST_TENANT_TEMPLATE_NOT_FOUND(name, (await templates.list()).join(', ') || 'none')
    return definition
  }

  /** The error of the last load, during the pause after it; otherwise `undefined`. */
  pausedError (name: string): unknown {
    return this.#failures.pauseOf(name) > 0 ? this.#failures.errorOf(name) : undefined
  }

  /**
   * @throws {FST_TENANT_TEMPLATE_NOT_FOUND}
   * @throws {FST_TENANT_TEMPLATE_FAILED}
   */
  async build (slot: TemplateSlot, { number, freshCode }: Build<TemplateDefinition>): Promise<TemplateGeneration> {
    const { id: name, current } = slot
    try {
      const definition = await this.definitionOf(name)
      const generation = await this.#context.loads.run(templateKey(name), () => this.#load(definition, number, freshCode, current === undefined))
      slot.lastError = undefined
      this.#failures.forget(name)
      debug?.("template '%s', generation %d: built in %d ms", name, number, Math.round(generation.loadMs))
      this.#context.onLoaded(name)
      return generation
    } catch (thrown) {
      const error = asError(thrown)
      slot.lastError = error
      if (current === undefined) this.#failures.add(name, error)
      const message = current === undefined ? 'template failed to load' : 'template failed to reload: the old generation keeps serving'
      logFailure(this.#context.parent.app.log, { template: name }, withoutRepeats(error), message)
      throw error instanceof FST_TENANT_TEMPLATE_NOT_FOUND ? error : new FST_TENANT_TEMPLATE_FAILED(name, { cause: error })
    }
  }

  /** Waits until no tenant uses the generation, then closes it. Never rejects. */
  async retire (generation: TemplateGeneration): Promise<null> {
    generation.state = 'draining'
    await generation.unused()
    await this.#context.boot.run(async () => {
      await this.preClose(generation)
      await this.#close(generation)
    })
    return null
  }

  onClosed (): void {}

  /** Runs the preClose hooks; a second call does nothing. Never rejects. */
  async preClose ({ name, scope }: TemplateGeneration): Promise<void> {
    const { drainTimeout } = this.#context.options
    await this.#logged(name, withDeadline(scope.preClose(), drainTimeout, () => new Error('A preClose hook of the template took too long')))
  }

  close (): void {
    this.#reloader.close()
  }

  async #load (definition: TemplateDefinition, number: number, freshCode: boolean, isFirst: boolean): Promise<TemplateGeneration> {
    const { options, parent, functions } = this.#context
    const { name, dir } = definition
    const started = performance.now()
    const template: Template = Object.freeze({ name, generation: number })
    const generation = new TemplateGeneration(name, number, this.#createScope(template), parent, functions)
    try {
      if (dir !== undefined) await this.#prepareCode(name, dir, freshCode, isFirst)
      const contents = await this.#reloader.runLoad(dir ?? '', () => loadTemplate(generation.scope, definition, template, options, parent.app.log))
      generation.activate(contents, started)
      if (parent.app.server.listening) generation.scope.onListen()
      return generation
    } catch (error) {
      if (dir !== undefined) this.#reloader.noteFailedLoad(dir, templateKey(name))
      await this.#close(generation)
      throw error
    }
  }

  #createScope (template: Template): Scope {
    const { name } = template
    return this.#context.parent.createScope({
      owner: { template: name },
      isShared: true,
      pluginTimeout: this.#context.options.loadTimeout,
      admit: raw => {
        if (raw === undefined || requestTenantOf(raw) === undefined) throw new FST_TENANT_TEMPLATE_SHARED(name, 'call the inject() of request.tenant.app')
      },
      adaptOptions: refuseTenantOptions(template),
      // The template stays while tenants use it, whatever its code closes.
      end: async () => {}
    })
  }

  async #prepareCode (name: string, dir: string, freshCode: boolean, isFirst: boolean): Promise<void> {
    for (const listener of this.#folderListeners) listener(name, dir)
    if (freshCode) await this.#reloader.refresh(dir)
    else if (isFirst) await this.#reloader.refreshIfChanged(dir, templateKey(name))
  }

  async #close (generation: TemplateGeneration): Promise<void> {
    const { loadTimeout } = this.#context.options
    await this.#logged(generation.name, withDeadline(generation.scope.close(), loadTimeout / 2, () => new Error('An onClose hook of the template took too long')))
    generation.state = 'closed'
    debug?.("template '%s', generation %d: closed", generation.name, generation.number)
  }

  async #logged (name: string, work: Promise<void>): Promise<void> {
    try {
      await work
    } catch (err) {
      logFailure(this.#context.parent.app.log, { template: name }, err, 'template failed to close')
    }
  }
}

/** The key of a template among the ids of tenants. No id contains NUL. */
export function templateKey (name: string): string {
  return `template\0${name}`
}
