import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import type { TenantConfig, TenantConfigInput } from './tenant-config.ts'
import type { Template, Tenant } from './tenants.ts'

/** One tenant, as its source defines it. */
export interface TenantDefinition {
  /** The id that requests name. */
  id: string
  /** The display name. Wins over the names in the config and in the index module. Default: theirs, else the id. */
  name?: string
  /** The absolute path of the tenant's folder. Several tenants may share one folder. Default: none. */
  dir?: string
  /** The name of the template that the tenant is built on, one of the option `templates`. Wins over the `template` of the config. Default: none. */
  template?: string
  /** The tenant's config. Each of its keys wins over the same key of the folder's config. Default: none. */
  config?: TenantConfigInput
  /** A plugin that is registered in the tenant's scope, after the folder's index plugin. Default: none. */
  plugin?: (instance: FastifyInstance, options: TenantPluginOptions, done: (error?: Error) => void) => void | Promise<void>
  /** The hosts that belong to the tenant: `'shop.acme.example'`, or `'*.acme.example'` for all hosts below a domain. Default: none. */
  hosts?: readonly string[]
  /** Whether requests to the tenant are refused with FST_TENANT_SUSPENDED. Such a tenant is not loaded. Default: `false`. */
  suspended?: boolean
  /** Must differ after every change to this definition. Without it, every notification causes a reload. Default: none. */
  version?: string
}

/** The options of a tenant's plugins and routes. */
export interface TenantPluginOptions {
  /** The tenant whose scope the plugin is registered in. */
  tenant: Tenant
  /** The tenant's config. */
  config: TenantConfig
}

/** The options of a template's plugins and routes. Reading `tenant` or `config` of them throws FST_TENANT_TEMPLATE_SHARED. */
export interface TemplatePluginOptions {
  /** The template whose scope the plugin is registered in. */
  template: Template
}

/** The notification of a source that a tenant was added, changed, suspended, resumed or deleted. */
export interface TenantChange {
  /** The id of the tenant. */
  id: string
  /** The current version of the definition. A tenant that is loaded in this version is not reloaded. Default: unknown. */
  version?: string | undefined
  /** `false` if the tenant was suspended or deleted: then it is unloaded. Otherwise it is reloaded if it is loaded. Default: `true`. */
  active?: boolean
  /**
   * The hosts that the tenant has gained or lost, for a source with `resolveHost`. `null` if there are too many to list.
   * Leave it out if the source does not know: then it is asked about every host again.
   */
  hosts?: readonly string[] | null
}

/** A tenant in memory, and the version of the definition that it was built from. */
export interface LoadedTenant {
  /** The id of the tenant. */
  id: string
  /** The version of the definition. `undefined` if it had none. */
  version: string | undefined
}

/** The argument of a source's `open()`. */
export interface SourceContext {
  /** The logger of the app. */
  log: FastifyBaseLogger
  /** Returns whether a request can name this id. With `'subdomain'`, ids with capital letters are unreachable. `undefined` if that is unknown. */
  isReachable?: (id: string) => boolean
}

/** Where tenants come from. Test your own source with `testTenantSource` of `fastify-multitenant/conformance`. */
export interface TenantSource {
  /** Returns the tenant of this id, `null` if it does not exist. An error means that the source failed, never that the tenant does not exist. */
  get (id: string): TenantDefinition | null | Promise<TenantDefinition | null>
  /** Returns the tenants of several ids. An id that is missing from the map does not exist. An error means that the source failed for all of them. */
  getMany?(ids: readonly string[]): Promise<ReadonlyMap<string, TenantDefinition>> | ReadonlyMap<string, TenantDefinition>
  /** Returns the ids of all tenants, each once. */
  list (): AsyncIterable<string>
  /**
   * Returns the id of the tenant that owns a host, `null` if no tenant does. The tenant with exactly this host wins, then the tenant
   * with the longest matching wildcard (`*.example.com`). The host is in lower case and punycode, without a port.
   * An error means that the source failed, never that no tenant owns the host.
   */
  resolveHost?(host: string): string | null | Promise<string | null>
  /** Returns whether any tenant has a host. Implement it if that is cheap. */
  hasHosts?(): boolean | Promise<boolean>
  /** Returns the number of tenants, which may be an estimate. Implement it if that is cheaper than `list()`. */
  count?(): number | Promise<number>
  /**
   * Calls `changed` for every change, until the returned function is called. It calls `changed` without an argument if unknown
   * tenants may have been added. A source that may have missed changes calls `loaded`, and announces the current state of those tenants.
   */
  watch?(changed: (change?: TenantChange) => void, loaded: () => LoadedTenant[]): () => void
  /** Called once, when the app boots. An error ends the boot. */
  open?(context: SourceContext): void | Promise<void>
  /** Called once, when the app closes or after `open` has thrown. */
  close?(): void | Promise<void>
}
