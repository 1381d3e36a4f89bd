import type { RequestListener } from 'node:http'
import { InertServer } from './inert-server.ts'
import type { Scion } from './graft.ts'
import type { HostApp } from './host-app.ts'

/**
 * The server of a tenant.
 * @param handle Fastify's entry into the tenant
 */
export function serverOf ({ app, serverPrototype, upgrades }: HostApp, { id, admit }: Scion, handle: RequestListener): InertServer {
  return new InertServer({
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
