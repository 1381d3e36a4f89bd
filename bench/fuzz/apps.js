import { defineTenant } from './tenants.js'

/**
 * An app that serves the tenants over HTTP/1.1, and one over HTTP/2. Both have the same routes of their own, and a log each line of
 * which is checked.
 */
export async function startApps (world) {
  const { Fastify, multitenant, order, drainTimeout, maxActive, tenants } = world
  const apps = [false, true].map(http2 => {
    const app = Fastify({ logger: { level: 'info', stream: { write: line => checkLine(line, world) } }, http2, forceCloseConnections: true })
    world.prepare(app)
    const definitions = Object.fromEntries(Array.from({ length: tenants }, (_, index) => [`tenant-${index}`, defineTenant(index, world)]))
    app.register(multitenant, { tenants: definitions, maxActive, order, drainTimeout })
    addRoutes(app)
    return app
  })
  await Promise.all(apps.map(app => app.listen({ host: '127.0.0.1', port: 0 })))
  return apps
}

function addRoutes (app) {
  const answer = async ({ tenantId, tenant }) => ({ by: 'app', marks: tenant === null ? [] : [tenantId, tenant.config.mark] })
  app.get('/shared', { config: { tenant: 'required' } }, answer)
  app.get('/public', { config: { tenant: 'ignore' } }, answer)
  app.get('/page/:name', { config: { tenant: 'required', identify: 'query' } }, answer)
}

/** A line about one tenant names no other. */
function checkLine (line, { findings }) {
  const named = new Set(line.match(/tenant-\d+/g))
  if (named.size > 1) findings.note('crossTalk', /"n=(\d+)/.exec(line)?.[1], `log line ${line.slice(0, 500)}`)
}
