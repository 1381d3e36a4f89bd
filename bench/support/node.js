// One of the nodes of a cluster: an app whose tenants are rows of a table. Its parent hears the URL, and ends it by disconnecting.
import Fastify from 'fastify'
import multitenant from 'fastify-multitenant'
import { postgresTenants } from 'fastify-multitenant/postgres'

const app = Fastify()
const started = performance.now()
app.register(multitenant, { tenants: postgresTenants({ connectionString: process.argv[2] }) })
app.get('/config', async ({ tenant }) => ({ id: tenant.id, ...tenant.config }))
await app.ready()
const bootMs = performance.now() - started
const url = await app.listen({ host: '127.0.0.1', port: 0 })

process.on('disconnect', async () => {
  await app.close()
  process.exit()
})
process.send({ url, bootMs })
