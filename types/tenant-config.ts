import type { FastifyInstance } from 'fastify'

/** The type of every tenant's config. Augment it: `declare module 'fastify-multitenant' { interface TenantConfig { plan: string } }`. */
export interface TenantConfig {}

/** What is read of every tenant's config. Extend it where that is of use: `interface TenantConfig extends StandardConfig { plan: string }`. */
export interface StandardConfig {
  /** The tenant's id, filled in. A config that says another is refused. */
  id?: string
  /** The name to show, filled in with the tenant's. */
  name?: string
  /** `false` leaves the tenant out, as if there were none. Default: `true`. */
  active?: boolean
  /** Plugins to load beside those of the folder, each named as `scheme:reference`. */
  plugins?: readonly string[]
}

/** The types of the tenants' services by name. Augment it as `TenantConfig`. */
export interface TenantServices {}

/** What a config function gets. */
export interface ConfigContext {
  /** The id of the tenant. */
  id: string
  /** The tenant's own Fastify instance, before anything of the tenant is in it. */
  app: FastifyInstance
}

/** A tenant's config, or a function that answers with it. */
export type TenantConfigInput = TenantConfig | ((context: ConfigContext) => TenantConfig | Promise<TenantConfig>)
