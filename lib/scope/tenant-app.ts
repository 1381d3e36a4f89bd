import type { IncomingMessage, ServerResponse } from 'node:http'
import lightMyRequest from 'light-my-request'
import type { FastifyInstance } from 'fastify'
import { FST_TENANT_CLOSED } from '../errors.ts'
import { setRequestTenant } from '../leases/request-tenant.ts'
import { REFUSED_LISTEN } from './tenant-server.ts'
import type { DispatchFunc, InjectOptions } from 'light-my-request'
import type { Tenant, TenantState } from '../../types/index.ts'

const kInjected = Symbol('fastify-multitenant.injected')

/** The states of a generation that another one may have replaced. */
const ENDING: ReadonlySet<TenantState> = new Set(['draining', 'closed', 'failed'] as const)

interface Injected { [kInjected]?: string }

/** The functions of a tenant without a scope of its own. */
export interface TenantAppContext {
  /** Whether the app writes a log. */
  readonly hasLogger: boolean
  /** Throws if the tenant takes no requests. */
  admit (id: string): void
  /**
   * Takes the tenant out of service. Resolves when it has ended.
   * @param isEnding whether this generation's end has already begun; if so, the callback only waits for it
   */
  end (id: string, isEnding: boolean): Promise<void>
}

/**
 * Creates the `app` of a tenant without a scope of its own: the instance that answers its requests, with an `inject()`, a `close()` and a log
 * that belong to the tenant.
 * @param base the app, or the instance of the tenant's template
 */
export function createTenantApp (base: FastifyInstance, tenant: Tenant, context: TenantAppContext): FastifyInstance {
  const dispatch = (raw: IncomingMessage & Injected, rawReply: ServerResponse): void => {
    raw[kInjected] = tenant.id
    setRequestTenant(raw, tenant)
    base.routing(raw, rawReply)
  }
  const inject = (options?: InjectOptions | string, done?: (error?: Error) => void): unknown => {
    try {
      context.admit(tenant.id)
      if (!tenant.active) throw new FST_TENANT_CLOSED(tenant.id)
    } catch (error) {
      return done === undefined ? Promise.reject(error) : done(error as Error)
    }
    return lightMyRequest(dispatch as unknown as DispatchFunc, options as InjectOptions, done as never)
  }
  const close = (done?: () => void): Promise<void> | undefined => {
    const ended = context.end(tenant.id, ENDING.has(tenant.state)).then(done)
    return done === undefined ? ended : undefined
  }
  return Object.assign(Object.create(base), { inject, close, listen: refuseListen, ...(context.hasLogger && { log: base.log.child({ tenantId: tenant.id }) }) })
}

/** Returns the id of the tenant whose `inject()` made this request; `undefined` for every other request. */
export function injectedTenantId (raw: IncomingMessage): string | undefined {
  return (raw as Injected)[kInjected]
}

async function refuseListen (): Promise<never> {
  throw new Error(REFUSED_LISTEN)
}
