import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { TenantIdentificationStrategy } from '../lib/identification/strategy.ts'

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
