import type { FastifyInstance, FastifyRequest } from 'fastify'

/** The names of the built-in strategies. */
export type StrategyName = 'header' | 'subdomain' | 'host' | 'path' | 'query' | 'cookie' | 'jwt'

/** The id that a request names. `null` or `undefined` if it names no tenant. */
export type TenantAnswer = string | null | undefined

/** Returns the id of the tenant that a request names. An error refuses the request. */
export type IdentifyFunction = (request: FastifyRequest) => TenantAnswer | Promise<TenantAnswer>

/** How requests name their tenant: the name of a strategy, a strategy, or a function that returns the id. */
export type Identify = StrategyName | TenantIdentificationStrategy | IdentifyFunction

/** A member of `agree()`. */
export interface Agreeing {
  /** The strategy to ask. */
  strategy: Identify
  /** Whether a request in which this strategy finds no tenant is refused with FST_TENANT_REQUIRED. Default: `false`. */
  required?: boolean
}

/** Everything that a strategy may use besides the request. One object serves all requests of a registration of the plugin. */
export interface IdentificationContext {
  /** The app that the plugin was registered in. */
  readonly app: FastifyInstance
  /**
   * Returns the built-in strategy of that name, made with the plugin's `baseDomain` and prefix.
   * @throws {FST_TENANT_OPTION_INVALID} when the strategy needs a `baseDomain` and the plugin has none
   */
  readonly named: (name: StrategyName) => TenantIdentificationStrategy
  /**
   * Returns the id of the tenant that owns a host, `null` if no tenant does. The host must be in canonical form: lower case,
   * punycode, without a port. Results are cached for 5 seconds. `undefined` if the source of tenants has no `resolveHost`.
   */
  readonly resolveHost: ((host: string) => string | null | Promise<string | null>) | undefined
}

/** Finds out which tenant a request names. Implement it for a way that the built-in strategies do not cover. */
export interface TenantIdentificationStrategy {
  /**
   * Whether `extractTenantId` reads only the head of a request (`raw`, `headers`, `host`, `ip` and values derived from them) and never
   * returns a promise. Such a strategy is asked before Fastify routes the request, which saves time. Default: `false`.
   */
  readonly readsHeadOnly?: boolean
  /** Returns the id that the request names, or nothing. An error refuses the request. */
  extractTenantId (request: FastifyRequest, context: IdentificationContext): TenantAnswer | Promise<TenantAnswer>
  /**
   * Returns the URL that routes see, for a strategy that reads the id from the URL. Called after the tenant was found.
   * Returns the URL unchanged when it does not name this tenant.
   */
  tenantUrl? (request: FastifyRequest, id: string, context: IdentificationContext): string
  /** Called once when the app has all its plugins, before any request. An error ends the boot: the app lacks what the strategy needs. */
  check? (context: IdentificationContext): void
}
