import type { FastifyRequest } from 'fastify'
import { isPromiseLike } from '../utils/is-promise-like.ts'
import type { IdentificationContext, Identify, TenantAnswer } from '../../types/index.ts'
import { CompositeStrategy } from './composite.ts'

/** Asks several strategies in turn. The first that finds a tenant wins. An error refuses the request: the next strategy is not asked. */
export class ChainStrategy extends CompositeStrategy {
  override extractTenantId (request: FastifyRequest, context: IdentificationContext): TenantAnswer | Promise<TenantAnswer> {
    return this.#ask(request, context, 0)
  }

  /** Creates no promise while members answer synchronously. */
  #ask (request: FastifyRequest, context: IdentificationContext, at: number): TenantAnswer | Promise<TenantAnswer> {
    const member = this.memberAt(at, context)
    if (member === undefined) return undefined
    const answer = member.extractTenantId(request, context)
    if (isPromiseLike(answer)) return this.#askAfter(answer, request, context, at + 1)
    return answer ?? this.#ask(request, context, at + 1)
  }

  async #askAfter (answer: PromiseLike<TenantAnswer>, request: FastifyRequest, context: IdentificationContext, next: number): Promise<TenantAnswer> {
    return await answer ?? this.#ask(request, context, next)
  }
}

/**
 * Creates a strategy that asks several strategies in turn.
 * @throws {FST_TENANT_OPTION_INVALID} when there are no strategies, or one is not a strategy
 */
export function chain (strategies: readonly Identify[]): ChainStrategy {
  return new ChainStrategy(strategies)
}
