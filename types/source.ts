import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import type { TenantConfig, TenantConfigInput } from './tenant-config.ts'
import type { Tenant } from './tenants.ts'

/** What a source says of one tenant. */
export interface TenantDefinition {
  id: string
  /** The name to show. Wins over those of the config and of the index module. */
  name?: string
  /** The absolute path of the tenant's folder. Several tenants may share one. */
  dir?: string
  /** Wins over the folder's config, key by key. */
  config?: TenantConfigInput
  /** Registered in the tenant's scope, after the folder's own index plugin. */
  plugin?: (instance: FastifyInstance, options: TenantPluginOptions, done: (error?: Error) => void) => void | Promise<void>
  /** The hosts that belong to the tenant, as `'shop.acme.example'`, or `'*.acme.example'` for all below a domain. */
  hosts?: readonly string[]
  /** Whether the tenant is refused with FST_TENANT_SUSPENDED instead of being loaded. Default: `false`. */
  suspended?: boolean
  /** Another one for every change of what is said here. Without one, every change that is told counts as one. */
  version?: string
}

/** What a tenant's plugins and routes get as options. */
export interface TenantPluginOptions {
  tenant: Tenant
  config: TenantConfig
}

/** What a source tells of a tenant that was added, changed, suspended, resumed or deleted. */
export interface TenantChange {
  id: string
  /** The version that it has now. A tenant that is loaded in this version stays as it is. */
  version?: string | undefined
  /** `false` when it is suspended or deleted: it is unloaded at once. Else it is reloaded if it is loaded. Default: `true`. */
  active?: boolean
  /**
   * The hosts that were given to the tenant or taken from it, for a source with `resolveHost`; `null` when they are too many to be told.
   * Left out when the source does not know: then it is asked about every host once more.
   */
  hosts?: readonly string[] | null
}

/** A tenant in memory, and the version of the definition that it was built from. */
export interface LoadedTenant {
  id: string
  version: string | undefined
}

/** What a source gets when the app boots. */
export interface SourceContext {
  log: FastifyBaseLogger
  /** Whether a request can name a tenant of this id, where that is known: under `'subdomain'` none with capitals. */
  isReachable?: (id: string) => boolean
}

/** Where tenants come from. Run `testTenantSource` of `fastify-multitenant/conformance` on one of your own. */
export interface TenantSource {
  /** What is known of this id; `null` when it is no tenant. What it throws is a failure, never "not found". */
  get (id: string): TenantDefinition | null | Promise<TenantDefinition | null>
  /** The definitions of several ids in one question. An id that is not in the map is unknown. What it throws is a failure for all of them. */
  getMany?(ids: readonly string[]): Promise<ReadonlyMap<string, TenantDefinition>> | ReadonlyMap<string, TenantDefinition>
  /** The ids of all tenants, each once. */
  list (): AsyncIterable<string>
  /**
   * The id of the tenant that a host belongs to, `null` when it is nobody's: the one that has exactly this host, else the one with the
   * longest wildcard (`*.example.com`) that fits. The host is lower case, punycode, without port. What it throws is a failure, never "nobody's".
   */
  resolveHost?(host: string): string | null | Promise<string | null>
  /** Whether any tenant has a host, where that is cheap to know. */
  hasHosts?(): boolean | Promise<boolean>
  /** How many tenants there are, where that is cheaper than to list them; may be an estimate. */
  count?(): number | Promise<number>
  /**
   * Calls `changed` for every change, without one when tenants may have been added and nobody knows which, until the function it
   * answers with is called. A source that may have missed changes asks `loaded`, and tells how those tenants are now.
   */
  watch?(changed: (change?: TenantChange) => void, loaded: () => LoadedTenant[]): () => void
  /** Called once, when the app boots. What it throws ends the boot. */
  open?(context: SourceContext): void | Promise<void>
  /** Called once, when the app closes, or when `open` has thrown. */
  close?(): void | Promise<void>
}
