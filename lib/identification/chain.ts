import type { FastifyRequest } from 'fastify'
import { isPromiseLike } from '../utils/is-promise-like.ts'
import type { IdentificationContext, Identify, TenantAnswer } from '../../types/index.ts'
import { CompositeStrategy } from './composite.ts'

/** Asks several strategies in turn; the first that answers wins. What one throws refuses the request: the next is not asked. */
export class ChainStrategy extends CompositeStrategy {
  override extractTenantId (request: FastifyRequest, context: IdentificationContext): TenantAnswer | Promise<TenantAnswer> {
    return this.#ask(request, context, 0)
  }

  /** Members that answer at once cost no promise. */
  #ask (request: FastifyRequest, context: IdentificationContext, at: number): TenantAnswer | Promise<TenantAnswer> {
    const member = this.memberAt(at, context)
    if (member === undefined) return undefined
    const answer = member.extractTenantId(request, context)
    if (isPromiseLike(answer)) return this.#askOn(answer, request, context, at + 1)
    return answer ?? this.#ask(request, context, at + 1)
  }

  async #askOn (answer: PromiseLike<TenantAnswer>, request: FastifyRequest, context: IdentificationContext, next: number): Promise<TenantAnswer> {
    return await answer ?? this.#ask(request, context, next)
  }
}

/** The strategy that asks these in turn. Throws FST_TENANT_OPTION_INVALID when there are none, or one is no strategy. */
export function chain (strategies: readonly Identify[]): ChainStrategy {
  return new ChainStrategy(strategies)
}
