import type { FastifyRequest } from 'fastify'
import { FST_TENANT_OPTION_INVALID } from '../errors.ts'
import type { IdentificationContext, Identify, StrategyName } from '../../types/index.ts'
import { TenantIdentificationStrategy } from './strategy.ts'
import { isStrategyName, toStrategy } from './to-strategy.ts'

/** A strategy that asks others. Those that are named are made for each registration of the plugin, with what stands beside `identify` there. */
export abstract class CompositeStrategy extends TenantIdentificationStrategy {
  readonly #members: ReadonlyArray<StrategyName | TenantIdentificationStrategy>

  /** Throws FST_TENANT_OPTION_INVALID when there are no strategies, or one is none. */
  constructor (strategies: readonly Identify[]) {
    super()
    if (!Array.isArray(strategies) || strategies.length === 0) {
      throw new FST_TENANT_OPTION_INVALID('identify', 'a non-empty array, where it is an array')
    }
    this.#members = strategies.map(member => isStrategyName(member) ? member : toStrategy(member))
  }

  /** Whether the strategy of that name is one of those that are asked. */
  names (name: StrategyName): boolean {
    return this.#members.some(member => member === name || (member instanceof CompositeStrategy && member.names(name)))
  }

  /** The first member that changes the URL says what routes see. */
  override tenantUrl (request: FastifyRequest, id: string, context: IdentificationContext): string {
    for (let at = 0, member; (member = this.memberAt(at, context)) !== undefined; at++) {
      const url = member.tenantUrl?.(request, id, context) ?? request.url
      if (url !== request.url) return url
    }
    return request.url
  }

  override check (context: IdentificationContext): void {
    for (let at = 0, member; (member = this.memberAt(at, context)) !== undefined; at++) member.check?.(context)
  }

  /** `undefined` after the last one. */
  protected memberAt (at: number, context: IdentificationContext): TenantIdentificationStrategy | undefined {
    const member = this.#members[at]
    return typeof member === 'string' ? context.named(member) : member
  }
}
