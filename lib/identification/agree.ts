import type { FastifyRequest } from 'fastify'
import { FST_TENANT_MISMATCH, FST_TENANT_OPTION_INVALID, FST_TENANT_REQUIRED } from '../errors.ts'
import { isPromiseLike } from '../utils/is-promise-like.ts'
import type { Agreeing, IdentificationContext, Identify, TenantAnswer } from '../../types/index.ts'
import { CompositeStrategy } from './composite.ts'
import { exemptPreflight } from './preflight.ts'

/**
 * Asks all its members: those that answer must name the same tenant, else it throws FST_TENANT_MISMATCH. Where a required one
 * does not answer it throws FST_TENANT_REQUIRED, except for a CORS preflight, which can carry neither header nor token.
 */
export class AgreeStrategy extends CompositeStrategy {
  readonly #required: readonly boolean[]

  /** Throws FST_TENANT_OPTION_INVALID when there are no members, or one is no strategy. */
  constructor (members: ReadonlyArray<Identify | Agreeing>) {
    super(strategiesIn(members))
    this.#required = members.map(member => isAgreeing(member) && isRequired(member))
  }

  override extractTenantId (request: FastifyRequest, context: IdentificationContext): TenantAnswer | Promise<TenantAnswer> {
    return this.#ask(request, context, 0, undefined)
  }

  /** Members that answer at once cost no promise. */
  #ask (request: FastifyRequest, context: IdentificationContext, first: number, agreed: TenantAnswer): TenantAnswer | Promise<TenantAnswer> {
    for (let at = first, member; (member = this.memberAt(at, context)) !== undefined; at++) {
      const answer = member.extractTenantId(request, context)
      if (isPromiseLike(answer)) return this.#askOn(answer, request, context, at, agreed)
      agreed = this.#agree(answer, agreed, request, at)
    }
    return agreed
  }

  async #askOn (answer: PromiseLike<TenantAnswer>, request: FastifyRequest, context: IdentificationContext, at: number, agreed: TenantAnswer): Promise<TenantAnswer> {
    return this.#ask(request, context, at + 1, this.#agree(await answer, agreed, request, at))
  }

  #agree (answer: TenantAnswer, agreed: TenantAnswer, request: FastifyRequest, at: number): TenantAnswer {
    if (answer === undefined || answer === null) {
      if (this.#required[at] === true && !exemptPreflight(request)) throw new FST_TENANT_REQUIRED()
      return agreed
    }
    if (agreed !== undefined && answer !== agreed) throw new FST_TENANT_MISMATCH()
    return answer
  }
}

/** The strategy whose members must agree. Throws FST_TENANT_OPTION_INVALID as `AgreeStrategy` does. */
export function agree (members: ReadonlyArray<Identify | Agreeing>): AgreeStrategy {
  return new AgreeStrategy(members)
}

/** What is no array is refused as other composites refuse it. */
function strategiesIn (members: ReadonlyArray<Identify | Agreeing>): Identify[] {
  return Array.isArray(members) ? members.map(member => isAgreeing(member) ? member.strategy : member) : []
}

function isAgreeing (member: Identify | Agreeing): member is Agreeing {
  return typeof member === 'object' && member !== null && 'strategy' in member && !('extractTenantId' in member)
}

/** A misspelt key would leave out what somebody relies on. */
function isRequired ({ strategy, required = false, ...others }: Agreeing): boolean {
  if (typeof required !== 'boolean' || Object.keys(others).length > 0) {
    throw new FST_TENANT_OPTION_INVALID('identify', 'made of strategies, or of { strategy, required } with a boolean, where it is agree()')
  }
  return required
}
