import type { FastifyRequest } from 'fastify'
import { FST_TENANT_OPTION_INVALID } from '../errors.ts'
import { isPromiseLike } from '../is-promise-like.ts'
import type { TenantAnswer } from '../../types/index.ts'
import { TenantIdentificationStrategy } from './strategy.ts'
import { toStrategy, type StrategyLike } from './to-strategy.ts'

/** Asks several strategies in turn; the first that answers wins. What one throws refuses the request: the next is not asked. */
export class ChainStrategy extends TenantIdentificationStrategy {
  readonly #members: readonly TenantIdentificationStrategy[]

  /** Throws FST_TENANT_OPTION_INVALID when there are no strategies, or one is none. */
  constructor (strategies: readonly StrategyLike[]) {
    super()
    if (!Array.isArray(strategies) || strategies.length === 0) {
      throw new FST_TENANT_OPTION_INVALID('identify', 'a non-empty array, where it is an array')
    }
    this.#members = strategies.map(toStrategy)
  }

  override extractTenantId (request: FastifyRequest): TenantAnswer | Promise<TenantAnswer> {
    return this.#ask(request, 0)
  }

  override tenantUrl (request: FastifyRequest, id: string): string {
    for (const member of this.#members) {
      const url = member.tenantUrl?.(request, id) ?? request.url
      if (url !== request.url) return url
    }
    return request.url
  }

  /** Members that answer at once cost no promise. */
  #ask (request: FastifyRequest, at: number): TenantAnswer | Promise<TenantAnswer> {
    const member = this.#members[at]
    if (member === undefined) return undefined
    const answer = member.extractTenantId(request)
    if (isPromiseLike(answer)) return this.#askOn(answer, request, at + 1)
    return answer ?? this.#ask(request, at + 1)
  }

  async #askOn (answer: PromiseLike<TenantAnswer>, request: FastifyRequest, next: number): Promise<TenantAnswer> {
    return await answer ?? this.#ask(request, next)
  }
}

/** The strategy that asks these in turn. Throws FST_TENANT_OPTION_INVALID as `ChainStrategy` does. */
export function chain (strategies: readonly StrategyLike[]): ChainStrategy {
  return new ChainStrategy(strategies)
}
