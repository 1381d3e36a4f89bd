import type { AutoloadPluginOptions } from '@fastify/autoload'
import type { FastifyInstance } from 'fastify'
import type { TenantDefinition, TenantSource } from './source.ts'
import type { Identify } from './identification.ts'
import type { PluginLoaders, PluginManager } from './plugins.ts'
import type { Tenant } from './tenants.ts'

/** A tenant that is given in code, without its id. */
export type InlineTenant = Omit<TenantDefinition, 'id'>

/** Where tenants come from: a folder, a source of one's own, or the tenants themselves. */
export type Tenants = string | URL | TenantSource | Record<string, InlineTenant>

/** What the `services` option gets. */
export interface ServiceContext {
  /** The tenant's own Fastify instance, with what the app and the tenant's plugins decorated. */
  app: FastifyInstance
  tenant: Tenant
}

/** More options for `@fastify/autoload`, for each of the two folders that it loads. */
export interface AutoloadOptions {
  plugins?: Omit<Partial<AutoloadPluginOptions>, 'dir'>
  routes?: Omit<Partial<AutoloadPluginOptions>, 'dir'>
}

/** How a route stands to tenants: `config: { tenant: 'ignore' }`. */
export type TenantRule = 'required' | 'optional' | 'ignore'

/** The options of the plugin. */
export interface MultitenantOptions {
  /** Where the tenants come from; several are asked in turn. Default: `'./tenants'`. */
  tenants?: Tenants | readonly Tenants[]
  /** How a request names its tenant; of several, the first that answers wins. Default: `'header'`. */
  identify?: Identify | readonly Identify[]
  /** The domain below which the first label is the tenant, for `identify: 'subdomain'`. */
  baseDomain?: string
  /** The tenant of a request that names none. It never stands in for a wrong answer. Default: none. */
  defaultTenant?: string
  /** Whether a request without a tenant is refused with 400. Default: `false`. */
  required?: boolean
  /** `'first'` identifies before all hooks of the app, `'registered'` where the plugin was registered. Default: `'first'`. */
  order?: 'first' | 'registered'
  /** How many tenants stay loaded; the least recently used idle one goes first, a busy one never. One that ends counts until it has. Default: 100. */
  maxActive?: number
  /** How long a tenant may be without a request before it is unloaded, in ms; 0 = for ever. Default: 0. */
  idleTimeout?: number
  /** The tenants to load at boot: all of them, or those with these ids. Default: `false`. */
  preload?: boolean | readonly string[]
  /** How many requests of one tenant may run at a time; 0 = any number. Default: 0. */
  maxInFlight?: number
  /** How many tenants are loaded at a time, up to five times as many when some take longer than 250 ms, if that is at most half of `maxActive`. Default: 10. */
  maxLoading?: number
  /** How many requests of one tenant may wait for it to be loaded. Default: 1 000. */
  maxWaiting?: number
  /** Whether a tenant is reloaded when a file in its folder changes, for development. Default: `false`. */
  watch?: boolean
  /** How long a tenant may take to load, in ms. Default: 10 000. */
  loadTimeout?: number
  /** How long a tenant that is unloaded or reloaded waits for its requests, in ms. Default: 30 000. */
  drainTimeout?: number
  /** The JSON schema of every tenant's config, checked and defaulted by `@fastify/env`. Default: none. */
  configSchema?: Record<string, unknown>
  /** The arguments of service constructors and factories. Default: `({ app, tenant }) => [app.db, tenant.config]`. */
  services?: (context: ServiceContext) => readonly unknown[]
  /** More options for `@fastify/autoload`. Default: `{}`. */
  autoload?: AutoloadOptions
  /** Plugin loading strategies by scheme, for `config.plugins`; `file` and `npm` are there unless they are replaced. Default: `{}`. */
  loaders?: PluginLoaders | PluginManager
  /** Whether the ids of tenants are 1 to 63 letters, digits, `_` and `-`; without it they may be any text up to 255 characters. Default: `true`. */
  validateIds?: boolean
}
