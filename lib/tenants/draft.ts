import type { FastifyInstance } from 'fastify'
import { loadTimeoutError } from '../loading/file-error.ts'
import { loadCode } from '../loading/load-code.ts'
import { LoadProgress } from '../loading/load-progress.ts'
import { readTenant } from '../loading/read-tenant.ts'
import { createServices, importServices, NO_SERVICES } from '../loading/services.ts'
import { createTenantApp } from '../scope/tenant-app.ts'
import { NO_ROUTES, TenantRoutes } from '../scope/tenant-routes.ts'
import { withDeadline } from '../utils/deadline.ts'
import { Generation } from './generation.ts'
import type { ParentApp } from '../app/parent-app.ts'
import type { ServiceModule } from '../loading/services.ts'
import type { TenantReading } from '../loading/read-tenant.ts'
import type { ResolvedOptions } from '../options.ts'
import type { Scope } from '../scope/scope.ts'
import type { TemplateGeneration } from '../templates/template-generation.ts'
import type { Templates } from '../templates/templates.ts'
import type { Place } from './places.ts'
import type { TenantFunctions } from './tenant-functions.ts'
import type { Tenant, TenantDefinition } from '../../types/index.ts'

/** The objects that a generation is made with. */
export interface DraftContext {
  options: ResolvedOptions
  /** The app that tenants are made in. */
  parent: ParentApp
  templates: Templates
  functions: TenantFunctions
}

/** A generation in the making: first it reads the config, which says whether the tenant needs a scope of its own; then it loads. */
export class Draft {
  readonly definition: TenantDefinition
  readonly #context: DraftContext
  readonly #progress = new LoadProgress()
  readonly #started = performance.now()
  #template: TemplateGeneration | undefined
  /** The template, held open for the generation. */
  #using: Promise<TemplateGeneration> | undefined
  #reading: TenantReading | undefined

  constructor (definition: TenantDefinition, context: DraftContext) {
    this.definition = definition
    this.#context = context
  }

  /** Reads the config, and loads the template. Returns whether the tenant has code of its own. */
  async read (): Promise<boolean> {
    const { options: { checkConfig, loadTimeout }, parent: { app }, templates } = this.#context
    const reading = readTenant(this.definition, {
      app,
      // Only a folder can cause a line.
      log: this.definition.dir === undefined ? app.log : app.log.child({ tenantId: this.definition.id }),
      checkConfig,
      progress: this.#progress,
      useTemplate: name => {
        this.#using = templates.use(name)
        return this.#using
      }
    })
    this.#reading = await this.#explained(withDeadline(reading, loadTimeout, loadTimeoutError))
    this.#template = await this.#using
    return this.#reading.hasCode
  }

  /** Creates the generation, with a scope if the tenant has code of its own. The generation lets go of the template when it is closed. */
  createGeneration (place: Place<Generation>, number: number): Generation {
    const { options: { drainTimeout } } = this.#context
    const { id, version } = this.definition
    const template = this.#template
    const scope = this.#reading?.hasCode === true ? this.#createScope(id) : undefined
    const routes = scope === undefined ? template?.routes ?? NO_ROUTES : new TenantRoutes(template === undefined ? [scope] : [scope, template.scope])
    this.#using = undefined
    return new Generation({ id, number, scope, template, routes, place, version, drainTimeout })
  }

  /** Loads the generation. If this rejects, close the generation: parts of the tenant may be open. */
  async load (generation: Generation): Promise<void> {
    const { scope } = generation
    const loading = scope === undefined ? this.#loadWithoutScope(generation) : scope.boot(`tenant ${generation.id}`, instance => this.#fill(instance, generation))
    await this.#explained(loading)
    generation.activate(this.#started)
  }

  /** Call this when the load is over. Lets go of the template, also of one that is loaded later, if no generation has been made. */
  discard (): void {
    this.#using?.then(template => template.release(), () => {})
    this.#using = undefined
  }

  #createScope (id: string): Scope {
    const { options: { loadTimeout }, parent, functions } = this.#context
    const base = this.#template?.base ?? parent
    return base.createScope({ owner: { tenantId: id }, pluginTimeout: loadTimeout, ...functions.ofScope(id) })
  }

  async #loadWithoutScope (generation: Generation): Promise<void> {
    const { parent: { app }, functions, options: { loadTimeout } } = this.#context
    const { template } = generation
    const appOf = template?.appOf ?? (tenant => createTenantApp(app, tenant, functions))
    const modules = template?.services ?? []
    const services = modules.length === 0 ? NO_SERVICES : new Map<string, unknown>()
    const tenant = this.#createTenant(generation, appOf, services)
    if (modules.length === 0) return
    await withDeadline(this.#createServices(modules, services as Map<string, unknown>, tenant), loadTimeout, loadTimeoutError)
  }

  /** Fills the tenant's own scope. Its services come after those of its template, and replace those of the same name. */
  async #fill (instance: FastifyInstance, generation: Generation): Promise<void> {
    const { folder, index, plugins } = this.#reading as TenantReading
    const services = new Map<string, unknown>()
    const tenant = this.#createTenant(generation, () => instance, services)
    generation.scope?.bind(instance, tenant)
    const code = { folder, index, plugin: this.definition.plugin, plugins, progress: this.#progress }
    await loadCode(instance, code, { tenant, config: tenant.config }, this.#context.options, async () => {
      const own = folder === null ? [] : await importServices(instance.log, folder)
      const inherited = (generation.template?.services ?? []).filter(({ name }) => !own.some(service => service.name === name))
      await this.#createServices([...inherited, ...own], services, tenant)
    })
  }

  #createTenant (generation: Generation, appOf: (tenant: Tenant) => FastifyInstance, services: ReadonlyMap<string, unknown>): Tenant {
    const { name, config } = this.#reading as TenantReading
    return generation.createTenant({ name, config, appOf, services })
  }

  async #createServices (modules: readonly ServiceModule[], services: Map<string, unknown>, tenant: Tenant): Promise<void> {
    await createServices(modules, services, () => this.#context.options.services({ app: tenant.app, tenant }), this.#progress)
  }

  /** Makes a timeout name the file that hangs. */
  async #explained<Result> (work: Promise<Result>): Promise<Result> {
    try {
      return await work
    } catch (error) {
      throw this.#progress.explain(error)
    }
  }
}
