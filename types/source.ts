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

/** What a source says of one tenant. */
export interface TenantDefinition {
  id: string
  /** The absolute path of the tenant's folder. */
  dir?: string
  /** Wins over the folder's config, key by key. */
  config?: TenantConfigInput
  /** Registered in the tenant's scope, after the folder's own index plugin. */
  plugin?: (instance: FastifyInstance, options: TenantPluginOptions, done: (error?: Error) => void) => void | Promise<void>
  /** The hosts that belong to the tenant, as `'shop.acme.example'`, or `'*.acme.example'` for all below a domain. */
  hosts?: readonly string[]
}

/** What a tenant's plugins and routes get as options. */
export interface TenantPluginOptions {
  tenant: import('../lib/tenants/tenant.ts').Tenant
  config: TenantConfig
}

/** Where tenants come from. */
export interface TenantSource {
  /** What is known of this id; `null` when it is no tenant. What it throws is a failure, never "not found". */
  get (id: string): TenantDefinition | null | Promise<TenantDefinition | null>
  /** The ids of all tenants. */
  list (): AsyncIterable<string>
  /** Called once, when the app boots. What it throws ends the boot. */
  open?(): void | Promise<void>
  /** How many tenants there are, where that is cheaper than to list them. */
  count?(): number | Promise<number>
  /**
   * The id of the tenant that a host belongs to, for `identify: 'host'`; `null` when it is nobody's. The host comes in one spelling:
   * lower case, without port and trailing dot, in punycode, IPv6 in brackets. What it throws is a failure, never "nobody's".
   */
  resolveHost?(host: string): string | null | Promise<string | null>
  /** Calls `changed` when tenants may have been added, until the function it answers with is called. */
  watch?(changed: () => void): () => void
  /** Called once, when the app closes. */
  close?(): void | Promise<void>
}
