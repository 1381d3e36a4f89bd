import type { FastifyInstance } from 'fastify'

/** The type of every tenant's config. Augment it: `declare module 'fastify-multitenant' { interface TenantConfig { plan: string } }`. */
export interface TenantConfig {}

/** The reserved keys of every tenant's config. Extend it to see them in your type: `interface TenantConfig extends StandardConfig { plan: string }`. */
export interface StandardConfig {
  /** The tenant's id. Filled in if it is missing; a config with a different id is refused. */
  id?: string
  /** The display name. Filled in with the tenant's name if it is missing. */
  name?: string
  /** Whether the tenant exists. Requests to an inactive tenant get FST_TENANT_NOT_FOUND. Default: `true`. */
  active?: boolean
  /** The name of the template that the tenant is built on. Default: none. */
  template?: string
  /** Plugins to load in addition to those of the folder, each named as `scheme:reference`. Default: `[]`. */
  plugins?: readonly string[]
}

/** The types of the tenants' services by name. Augment it: `declare module 'fastify-multitenant' { interface TenantServices { Mail: Mail } }`. */
export interface TenantServices {}

/** The argument of a config function. */
export interface ConfigContext {
  /** The id of the tenant. */
  id: string
  /** The app that the plugin was registered in. */
  app: FastifyInstance
}

/** A tenant's config, or a function that returns it. */
export type TenantConfigInput = TenantConfig | ((context: ConfigContext) => TenantConfig | Promise<TenantConfig>)
