import { FST_TENANT_TEMPLATE_FAILED, FST_TENANT_TEMPLATE_NOT_FOUND, FST_TENANT_TEMPLATE_SHARED } from '../errors.ts'
import { Failures } from '../generations/failures.ts'
import { FolderCode } from '../generations/folder-code.ts'
import { requestTenantOf } from '../leases/request-tenant.ts'
import { asError } from '../utils/as-error.ts'
import { debug } from '../utils/debug.ts'
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
import type { TemplateRetirement } from './template-retirement.ts'
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
  retirement: TemplateRetirement
  /** Called when a template has been loaded. */
  onLoaded: (name: string) => void
}

/** One template's place in memory. */
export type TemplateSlot = Slot<TemplateGeneration, TemplateDefinition, null>

/** Loads and closes generations of templates. */
export class TemplateLoader implements SlotFunctions<TemplateGeneration, TemplateDefinition, null> {
  readonly kind = 'template'
  /** The code in the folders of templates. */
  readonly code = new FolderCode()
  readonly #context: TemplateLoaderContext
  readonly #failures = new Failures()

  constructor (context: TemplateLoaderContext) {
    this.#context = context
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
  retire (generation: TemplateGeneration): Promise<null> {
    return this.#context.retirement.retire(generation)
  }

  onClosed (): void {}

  /** Runs the preClose hooks of a generation. Never rejects. */
  preClose (generation: TemplateGeneration): Promise<void> {
    return this.#context.retirement.preClose(generation)
  }

  /** Call this when all tenants have ended. */
  close (): void {
    this.#context.retirement.onAllEnded()
    this.code.close()
  }

  async #load (definition: TemplateDefinition, number: number, freshCode: boolean, isFirst: boolean): Promise<TemplateGeneration> {
    const { options, parent, functions, retirement } = this.#context
    const { name, dir } = definition
    const started = performance.now()
    const template: Template = Object.freeze({ name, generation: number })
    const generation = new TemplateGeneration(name, number, this.#createScope(template), parent, functions)
    try {
      await this.code.prepare(name, dir, { freshCode, isFirst })
      const contents = await this.code.run(dir, () => loadTemplate(generation.scope, definition, template, options, parent.app.log))
      generation.activate(contents, started)
      if (parent.app.server.listening) generation.scope.onListen()
      return generation
    } catch (error) {
      this.code.noteFailure(name, dir)
      await retirement.close(generation)
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
      end: async () => { this.#context.parent.app.log.warn({ template: name }, 'the template stays open: its code cannot close a scope that many tenants share') }
    })
  }
}

/** The key of a template among the ids of tenants. No id contains NUL. */
export function templateKey (name: string): string {
  return `template\0${name}`
}
