import type { RequestListener } from 'node:http'
import { TenantServer } from './tenant-server.ts'
import type { ScopeParent } from './scope-parent.ts'

/** The parts of a tenant that its server needs. */
interface TenantServerOptions {
  id: string
  /** Called before a request is passed to the tenant; throws if the tenant does not take it. */
  admit: () => void
}

/**
 * Creates a tenant's server.
 * @param handle the request listener that Fastify made for the tenant's root
 */
export function createTenantServer ({ app, serverPrototype, upgrades }: ScopeParent, { id, admit }: TenantServerOptions, handle: RequestListener): TenantServer {
  return new TenantServer({
    prototype: serverPrototype,
    server: app.server,
    onUpgradeListener: () => upgrades.listen(),
    onError: (err, event) => app.log.error({ err, event, tenantId: id }, "a listener of the tenant's server failed"),
    serve: (raw, rawReply) => {
      admit()
      handle(raw, rawReply)
    }
  })
}
