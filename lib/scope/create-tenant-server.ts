import type { IncomingMessage, RequestListener } from 'node:http'
import { TenantServer } from './tenant-server.ts'
import type { Owner } from '../utils/log-failure.ts'
import type { ScopeParent } from './scope-parent.ts'

/** The parts of a tenant that its server needs. */
interface TenantServerOptions {
  owner: Owner
  /** Called before a request is passed to the tenant; throws if the tenant does not take it. */
  admit: (raw: IncomingMessage) => void
}

/**
 * Creates a tenant's server.
 * @param handle the request listener that Fastify made for the tenant's root
 */
export function createTenantServer ({ app, serverPrototype, upgrades }: ScopeParent, { owner, admit }: TenantServerOptions, handle: RequestListener): TenantServer {
  return new TenantServer({
    prototype: serverPrototype,
    server: app.server,
    onUpgradeListener: () => upgrades.listen(),
    onError: (err, event) => app.log.error({ err, event, ...owner }, "a listener of the tenant's server failed"),
    serve: (raw, rawReply) => {
      admit(raw)
      handle(raw, rawReply)
    }
  })
}
