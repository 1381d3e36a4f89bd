import type { FastifyInstance, FastifyRequest } from 'fastify'

/** The strategies that need no configuration of their own. */
export type StrategyName = 'header' | 'subdomain' | 'host' | 'path' | 'query' | 'cookie' | 'jwt'

/** The id that a request names; `null` or `undefined` when it names none. */
export type TenantAnswer = string | null | undefined

/** Names the tenant of a request. What it throws refuses the request. */
export type IdentifyFunction = (request: FastifyRequest) => TenantAnswer | Promise<TenantAnswer>

/** What names the tenant of a request: the name of a strategy, a strategy, or a function that answers with the id. */
export type Identify = StrategyName | TenantIdentificationStrategy | IdentifyFunction

/** A member of `agree()`. */
export interface Agreeing {
  strategy: Identify
  /** Whether a request that it finds no tenant in is refused. Default: `false`. */
  required?: boolean
}

/** What strategies may use beside the request: the same for all requests of one registration of the plugin. */
export interface IdentificationContext {
  /** The app, where the plugin was registered. */
  readonly app: FastifyInstance
  /** The strategy of that name, with what stands beside `identify`. Throws FST_TENANT_OPTION_INVALID when there is none. */
  readonly named: (name: StrategyName) => TenantIdentificationStrategy
  /**
   * The id of the tenant that a host belongs to, given in its canonical spelling; `null` when it is nobody's. The answer is
   * remembered for some seconds. `undefined` where the source of tenants knows no hosts.
   */
  readonly resolveHost: ((host: string) => string | null | Promise<string | null>) | undefined
}

/** Names the tenant of a request: the part of identification that a user may replace. */
export interface TenantIdentificationStrategy {
  /**
   * Whether `extractTenantId` reads only the head of a request (`raw`, `headers`, `host`, `ip` and what follows from these) and never
   * returns a promise. Such a strategy is asked before the request is routed, which saves time. Default: `false`.
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
