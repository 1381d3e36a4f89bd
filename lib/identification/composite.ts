import type { FastifyRequest } from 'fastify'
import { FST_TENANT_OPTION_INVALID } from '../errors.ts'
import type { IdentificationContext, Identify, StrategyName } from '../../types/index.ts'
import { TenantIdentificationStrategy } from './strategy.ts'
import { isStrategyName } from './strategies/by-name.ts'
import { toStrategy } from './to-strategy.ts'

/** A strategy that asks others. Members given by name are created per plugin registration, with its `baseDomain` and prefix. */
export abstract class CompositeStrategy extends TenantIdentificationStrategy {
  readonly #members: ReadonlyArray<StrategyName | TenantIdentificationStrategy>

  /** @throws {FST_TENANT_OPTION_INVALID} when there are no strategies, or one is not a strategy */
  constructor (strategies: readonly Identify[]) {
    super()
    if (!Array.isArray(strategies) || strategies.length === 0) {
      throw new FST_TENANT_OPTION_INVALID('identify', 'a non-empty array of strategies, or one strategy')
    }
    this.#members = strategies.map(member => isStrategyName(member) ? member : toStrategy(member))
  }

  /** Returns whether the built-in strategy of that name is a member, or a member of a member. */
  names (name: StrategyName): boolean {
    return this.#members.some(member => member === name || (member instanceof CompositeStrategy && member.names(name)))
  }

  /** Returns the URL of the first member that changes it. */
  override tenantUrl (request: FastifyRequest, id: string, context: IdentificationContext): string {
    for (let at = 0, member; (member = this.memberAt(at, context)) !== undefined; at++) {
      const url = member.tenantUrl?.(request, id, context) ?? request.url
      if (url !== request.url) return url
    }
    return request.url
  }

  /** Checks all members. */
  override check (context: IdentificationContext): void {
    for (let at = 0, member; (member = this.memberAt(at, context)) !== undefined; at++) member.check?.(context)
  }

  /** Returns `undefined` after the last member. */
  protected memberAt (at: number, context: IdentificationContext): TenantIdentificationStrategy | undefined {
    const member = this.#members[at]
    return typeof member === 'string' ? context.named(member) : member
  }
}
