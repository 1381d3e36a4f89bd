import type { FastifyRequest } from 'fastify'
import { FST_TENANT_MISMATCH, FST_TENANT_OPTION_INVALID, FST_TENANT_REQUIRED } from '../errors.ts'
import { isPromiseLike } from '../utils/is-promise-like.ts'
import type { Agreeing, IdentificationContext, Identify, TenantAnswer } from '../../types/index.ts'
import { CompositeStrategy } from './composite.ts'
import { exemptPreflight } from './preflight.ts'

/**
 * Asks all its members. Those that find a tenant must find the same one, and a required member must find one. In a CORS preflight,
 * a required member may find none, because a browser sends it without the app's headers and tokens.
 * @throws {FST_TENANT_MISMATCH} for a request that names two tenants
 * @throws {FST_TENANT_REQUIRED} for a request in which a required member finds no tenant
 */
export class AgreeStrategy extends CompositeStrategy {
  readonly #required: readonly boolean[]

  /** @throws {FST_TENANT_OPTION_INVALID} when there are no members, or one is not a strategy */
  constructor (members: ReadonlyArray<Identify | Agreeing>) {
    super(strategiesIn(members))
    this.#required = members.map(member => isAgreeing(member) && isRequired(member))
  }

  override extractTenantId (request: FastifyRequest, context: IdentificationContext): TenantAnswer | Promise<TenantAnswer> {
    return this.#ask(request, context, 0, undefined)
  }

  /** Creates no promise while members answer synchronously. */
  #ask (request: FastifyRequest, context: IdentificationContext, first: number, agreed: TenantAnswer): TenantAnswer | Promise<TenantAnswer> {
    for (let at = first, member; (member = this.memberAt(at, context)) !== undefined; at++) {
      const answer = member.extractTenantId(request, context)
      if (isPromiseLike(answer)) return this.#askAfter(answer, request, context, at, agreed)
      agreed = this.#agree(answer, agreed, request, at)
    }
    return agreed
  }

  async #askAfter (answer: PromiseLike<TenantAnswer>, request: FastifyRequest, context: IdentificationContext, at: number, agreed: TenantAnswer): Promise<TenantAnswer> {
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

/**
 * Creates a strategy whose members must find the same tenant.
 * @throws {FST_TENANT_OPTION_INVALID} when there are no members, or one is not a strategy
 */
export function agree (members: ReadonlyArray<Identify | Agreeing>): AgreeStrategy {
  return new AgreeStrategy(members)
}

/** Returns an empty list, which the base class refuses, for a value that is not an array. */
function strategiesIn (members: ReadonlyArray<Identify | Agreeing>): Identify[] {
  return Array.isArray(members) ? members.map(member => isAgreeing(member) ? member.strategy : member) : []
}

function isAgreeing (member: Identify | Agreeing): member is Agreeing {
  return typeof member === 'object' && member !== null && 'strategy' in member && !('extractTenantId' in member)
}

/** Refuses unknown keys: a misspelt `required` would silently drop a protection. */
function isRequired ({ strategy, required = false, ...others }: Agreeing): boolean {
  if (typeof required !== 'boolean' || Object.keys(others).length > 0) {
    throw new FST_TENANT_OPTION_INVALID('identify', 'an agree() of strategies, or of { strategy, required } with a boolean')
  }
  return required
}
