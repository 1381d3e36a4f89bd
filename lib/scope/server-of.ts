import type { RequestListener } from 'node:http'
import { TenantServer } from './tenant-server.ts'
import type { TenantRootOptions } from './tenant-root.ts'
import type { ParentApp } from '../app/parent-app.ts'

/**
 * The server of a tenant.
 * @param handle Fastify's entry into the tenant
 */
export function serverOf ({ app, serverPrototype, upgrades }: ParentApp, { id, admit }: TenantRootOptions, handle: RequestListener): TenantServer {
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
