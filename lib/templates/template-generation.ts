import type { FastifyInstance } from 'fastify'
import { createTenantApp } from '../scope/tenant-app.ts'
import { TenantRoutes } from '../scope/tenant-routes.ts'
import { TemplateParent } from './template-parent.ts'
import type { ParentApp } from '../app/parent-app.ts'
import type { ServiceModule } from '../loading/services.ts'
import type { EnvValues } from '../loading/config.ts'
import type { ConfigDefaults } from '../loading/read-tenant.ts'
import type { Scope } from '../scope/scope.ts'
import type { TenantAppContext } from '../scope/tenant-app.ts'
import type { ConfigContext, Tenant, TenantState } from '../../types/index.ts'

/** The parts of a template that its load has read. */
export interface TemplateContents {
  readConfig: (context: ConfigContext) => Promise<object>
  env: EnvValues
  services: readonly ServiceModule[]
}

/** One loaded version of a template: a scope that its tenants share. It stays open while a tenant's generation uses it. */
export class TemplateGeneration implements ConfigDefaults {
  readonly name: string
  /** The first generation of a template has number 1. */
  readonly number: number
  readonly scope: Scope
  /** The routes of the tenants that have no code of their own. They share this object. */
  readonly routes: TenantRoutes
  state: TenantState = 'loading'
  readonly #parent: ParentApp
  readonly #apps: TenantAppContext
  #contents: TemplateContents | undefined
  #parentOfScopes: TemplateParent | undefined
  #uses = 0
  #onUnused: (() => void) | undefined
  /** By `Date.now()`. */
  #loadedAt = 0
  #loadMs = 0

  constructor (name: string, number: number, scope: Scope, parent: ParentApp, apps: TenantAppContext) {
    this.name = name
    this.number = number
    this.scope = scope
    this.routes = new TenantRoutes([scope])
    this.#parent = parent
    this.#apps = apps
  }

  /** How many generations of tenants use it. */
  get uses (): number {
    return this.#uses
  }

  get loadedAt (): Date {
    return new Date(this.#loadedAt)
  }

  /** The duration of the load, in ms. */
  get loadMs (): number {
    return this.#loadMs
  }

  get env (): EnvValues {
    return this.#loaded.env
  }

  get services (): readonly ServiceModule[] {
    return this.#loaded.services
  }

  readConfig (context: ConfigContext): Promise<object> {
    return this.#loaded.readConfig(context)
  }

  /** Tenants get the generation when it is loaded. */
  get #loaded (): TemplateContents {
    return this.#contents as TemplateContents
  }

  /** Call this when the scope is booted. @param started when the load began, by `performance.now()` */
  activate (contents: TemplateContents, started: number): void {
    this.#contents = contents
    this.state = 'active'
    this.#loadedAt = Date.now()
    this.#loadMs = performance.now() - started
  }

  /** The app of a tenant without code of its own. */
  readonly appOf = (tenant: Tenant): FastifyInstance => createTenantApp(this.scope.instance, tenant, this.#apps)

  /** The base of tenants with code of their own. */
  get base (): TemplateParent {
    this.#parentOfScopes ??= new TemplateParent(this.#parent, this.scope)
    return this.#parentOfScopes
  }

  /** Keeps it open for a generation of a tenant, until `release()`. */
  acquire (): this {
    this.#uses++
    return this
  }

  release (): void {
    if (--this.#uses === 0) this.#onUnused?.()
  }

  /** Resolves when no generation of a tenant uses it any more. */
  async unused (): Promise<void> {
    if (this.#uses === 0) return
    await new Promise<void>(resolve => { this.#onUnused = resolve })
  }
}
