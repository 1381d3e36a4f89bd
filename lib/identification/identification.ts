import type { FastifyContextConfig, FastifyRequest } from 'fastify'
import type { IdentificationContext, Identify, TenantAnswer } from '../../types/index.ts'
import type { TenantIdentificationStrategy } from './strategy.ts'

type AnyIdentify = Identify | readonly Identify[]

/** Knows what names the tenant of a request: the strategy of its route, else the plugin's. */
export class Identification {
  readonly #context: IdentificationContext
  readonly #toStrategy: (identify: AnyIdentify) => TenantIdentificationStrategy
  #strategy: TenantIdentificationStrategy
  #routes: ReadonlyMap<AnyIdentify, TenantIdentificationStrategy> | undefined

  /** @param toStrategy makes a strategy of whatever `identify` may be */
  constructor (strategy: TenantIdentificationStrategy, toStrategy: (identify: AnyIdentify) => TenantIdentificationStrategy, context: IdentificationContext) {
    this.#strategy = strategy
    this.#toStrategy = toStrategy
    this.#context = context
  }

  /** To be called when the app is ready, with the config of its routes. Throws FST_TENANT_OPTION_INVALID when a strategy cannot be used. */
  open (routes: readonly FastifyContextConfig[]): void {
    this.#strategy.check?.(this.#context)
    const named = new Set(routes.flatMap(({ identify }) => identify === undefined ? [] : [identify]))
    this.#routes = new Map([...named].map(identify => [identify, this.#checked(identify)]))
  }

  /** Replaces the plugin's strategy, from the next request on. Throws FST_TENANT_OPTION_INVALID when it is none, or cannot be used. */
  use (identify: AnyIdentify): void {
    // Before the app is ready, what the strategy needs may still be registered.
    this.#strategy = this.#routes === undefined ? this.#toStrategy(identify) : this.#checked(identify)
  }

  /** The strategy for requests of a route that says so, or says nothing. */
  strategyFor (identify: AnyIdentify | undefined): TenantIdentificationStrategy {
    return identify === undefined ? this.#strategy : this.#routes?.get(identify) as TenantIdentificationStrategy
  }

  /** What the strategy says of a request. */
  answer (strategy: TenantIdentificationStrategy, request: FastifyRequest): TenantAnswer | Promise<TenantAnswer> {
    return strategy.extractTenantId(request, this.#context)
  }

  /** What routes are to see as the URL of a request of this tenant; `undefined` when that is what the URL is. */
  url (strategy: TenantIdentificationStrategy, request: FastifyRequest, id: string): string | undefined {
    return strategy.tenantUrl?.(request, id, this.#context)
  }

  #checked (identify: AnyIdentify): TenantIdentificationStrategy {
    const strategy = this.#toStrategy(identify)
    strategy.check?.(this.#context)
    return strategy
  }
}
