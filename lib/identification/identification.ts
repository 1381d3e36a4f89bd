import type { FastifyContextConfig, FastifyRequest } from 'fastify'
import type { IdentificationContext, Identify, TenantAnswer } from '../../types/index.ts'
import type { TenantIdentificationStrategy } from './strategy.ts'

type AnyIdentify = Identify | readonly Identify[]

/** Finds the tenant that a request names, with the strategy of its route or else the plugin's. */
export class Identification {
  readonly #context: IdentificationContext
  readonly #toStrategy: (identify: AnyIdentify) => TenantIdentificationStrategy
  #strategy: TenantIdentificationStrategy
  #routeStrategies: ReadonlyMap<AnyIdentify, TenantIdentificationStrategy> | undefined

  /** @param toStrategy creates the strategy for a value of `identify` */
  constructor (strategy: TenantIdentificationStrategy, toStrategy: (identify: AnyIdentify) => TenantIdentificationStrategy, context: IdentificationContext) {
    this.#strategy = strategy
    this.#toStrategy = toStrategy
    this.#context = context
  }

  /**
   * Creates the strategies of the routes. Call this when the app is ready.
   * @param routes the configs of the app's routes
   * @throws {FST_TENANT_OPTION_INVALID} when a strategy is invalid, or the app lacks what it needs
   */
  open (routes: readonly FastifyContextConfig[]): void {
    this.#strategy.check?.(this.#context)
    const identifies = new Set(routes.flatMap(({ identify }) => identify === undefined ? [] : [identify]))
    this.#routeStrategies = new Map([...identifies].map(identify => [identify, this.#createStrategy(identify)]))
  }

  /**
   * Replaces the plugin's strategy, from the next request on.
   * @throws {FST_TENANT_OPTION_INVALID} when it is not a strategy, or the app lacks what it needs
   */
  use (identify: AnyIdentify): void {
    // Until the app is ready, plugins that the strategy needs may still be registered.
    this.#strategy = this.#routeStrategies === undefined ? this.#toStrategy(identify) : this.#createStrategy(identify)
  }

  /** Returns the strategy of a route's `identify`, and the plugin's for a route without one. */
  strategyFor (identify: AnyIdentify | undefined): TenantIdentificationStrategy {
    return identify === undefined ? this.#strategy : this.#routeStrategies?.get(identify) as TenantIdentificationStrategy
  }

  /** Returns the id that a strategy finds in a request. */
  answer (strategy: TenantIdentificationStrategy, request: FastifyRequest): TenantAnswer | Promise<TenantAnswer> {
    return strategy.extractTenantId(request, this.#context)
  }

  /** Returns the URL that routes see for a request of this tenant. `undefined` if the strategy never changes it. */
  url (strategy: TenantIdentificationStrategy, request: FastifyRequest, id: string): string | undefined {
    return strategy.tenantUrl?.(request, id, this.#context)
  }

  #createStrategy (identify: AnyIdentify): TenantIdentificationStrategy {
    const strategy = this.#toStrategy(identify)
    strategy.check?.(this.#context)
    return strategy
  }
}
