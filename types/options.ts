import type { AutoloadPluginOptions } from '@fastify/autoload'
import type { FastifyInstance } from 'fastify'
import type { TemplatePluginOptions, TenantDefinition, TenantSource } from './source.ts'
import type { Identify } from './identification.ts'
import type { PluginLoaders, PluginManager } from './plugins.ts'
import type { TenantConfigInput } from './tenant-config.ts'
import type { Tenant } from './tenants.ts'

/** A tenant that is defined in code, without its id: the id is its key. */
export type InlineTenant = Omit<TenantDefinition, 'id'>

/** A template that is defined in code, without its name: the name is its key. */
export interface InlineTemplate {
  /** The path of the template's folder. A relative path starts at the working directory. Default: none. */
  dir?: string
  /** A plugin that is registered in the template's scope, after the folder's index plugin. Default: none. */
  plugin?: (instance: FastifyInstance, options: TemplatePluginOptions, done: (error?: Error) => void) => void | Promise<void>
  /** The defaults of its tenants' configs. Each key wins over the same key of the folder's config. Default: none. */
  config?: TenantConfigInput
}

/** Where templates come from: the path of a folder whose subfolders are templates, or an object of templates by name. */
export type Templates = string | URL | Record<string, InlineTemplate>

/** Where tenants come from: the path of a folder, a tenant source, or an object of tenants by id. */
export type Tenants = string | URL | TenantSource | Record<string, InlineTenant>

/** The argument of the `services` option. */
export interface ServiceContext {
  /** The tenant's own Fastify instance, with the decorators of the app and of the tenant's plugins. */
  app: FastifyInstance
  /** The tenant that the services belong to. */
  tenant: Tenant
}

/** More options for `@fastify/autoload`, which loads two folders of each tenant. */
export interface AutoloadOptions {
  /** Options for the folder `plugins`. Default: `{}`. */
  plugins?: Omit<Partial<AutoloadPluginOptions>, 'dir'>
  /** Options for the folder `routes`. Default: `{}`. */
  routes?: Omit<Partial<AutoloadPluginOptions>, 'dir'>
}

/** Whether a route needs a tenant, may have one, or is never a tenant's: `config: { tenant: 'ignore' }`. */
export type TenantRule = 'required' | 'optional' | 'ignore'

/** The options of the plugin. */
export interface MultitenantOptions {
  /** Where the tenants come from. Several sources are asked in turn. A relative path starts at the working directory. Default: `'./tenants'`. */
  tenants?: Tenants | readonly Tenants[]
  /** How a request names its tenant. Several strategies are asked in turn, and the first that finds an id wins. Default: `'header'`. */
  identify?: Identify | readonly Identify[]
  /** The domain whose subdomains are tenants: `example.com` for `acme.example.com`. Required for `identify: 'subdomain'`, refused without it. Default: none. */
  baseDomain?: string
  /** The id of the tenant of requests that name no tenant. A request that names an invalid or unknown tenant is refused nevertheless. Default: none. */
  defaultTenant?: string
  /** Whether a request without a tenant is refused with FST_TENANT_REQUIRED (400). Default: `false`. */
  required?: boolean
  /** When the tenant is identified: `'first'` before all hooks of the app, `'registered'` in the order of registration. Default: `'first'`. */
  order?: 'first' | 'registered'
  /**
   * The templates that tenants name: scopes that many tenants share. A relative path starts at the working directory. A folder that does
   * not exist has no templates. Default: `'./templates'`.
   */
  templates?: Templates
  /**
   * How many tenants with code of their own may be loaded. Above that, the least recently used idle one is unloaded; a busy tenant never
   * is. A tenant counts until it is closed. Default: 100.
   */
  maxActive?: number
  /** How many tenants without code of their own may be loaded. The same rules as for `maxActive`. Default: 10,000. */
  maxResident?: number
  /** How long a tenant may be idle before it is unloaded, in ms. 0 = for ever. Default: 0. */
  idleTimeout?: number
  /** The tenants to load at boot: `true` for all, or an array of ids. Default: `false`. */
  preload?: boolean | readonly string[]
  /** How many requests of one tenant may run at a time. Further requests are refused with FST_TENANT_BUSY. 0 = no limit. Default: 0. */
  maxInFlight?: number
  /** How many tenants may load at a time. When some loads take longer than 250 ms, up to five times as many may. Default: 10. */
  maxLoading?: number
  /** How many requests of one tenant may wait until it is loaded. Further requests are refused with FST_TENANT_BUSY. Default: 1,000. */
  maxWaiting?: number
  /** Whether a change in a tenant's folder reloads the tenant. Meant for development. Default: `false`. */
  watch?: boolean
  /** How long a tenant may take to load, in ms. Default: 10,000. */
  loadTimeout?: number
  /** How long an unloaded or reloaded tenant waits for its running requests before it is closed by force, in ms. Default: 30,000. */
  drainTimeout?: number
  /** The JSON schema of every tenant's config. `@fastify/env` validates the config and fills in defaults. Default: none. */
  configSchema?: Record<string, unknown>
  /** Returns the arguments of service constructors and factories. Default: `({ app, tenant }) => [app.db, tenant.config]`. */
  services?: (context: ServiceContext) => readonly unknown[]
  /** More options for `@fastify/autoload`. Default: `{}`. */
  autoload?: AutoloadOptions
  /** Plugin loading strategies by scheme, for `config.plugins`. The schemes `file` and `npm` always exist and may be replaced. Default: `{}`. */
  loaders?: PluginLoaders | PluginManager
  /** Whether tenant ids must be 1 to 63 letters, digits, `_` and `-`. With `false` they may be any text of up to 255 characters. Default: `true`. */
  validateIds?: boolean
}
