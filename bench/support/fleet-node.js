// One of the nodes of a fleet: an app whose tenants are rows of a table that name one of three templates. Its parent hears the URL, asks
// for figures, and ends it by disconnecting.
import Fastify from 'fastify'
import multitenant from 'fastify-multitenant'
import { postgresTenants } from 'fastify-multitenant/postgres'

const [connectionString, names, maxResident] = process.argv.slice(2)
const templates = Object.fromEntries(names.split(',').map(name => [name, {
  plugin: async (scope, { template }) => {
    scope.get('/me', async ({ tenant }) => ({ id: tenant.id, template: template.name, plan: tenant.config.plan }))
  }
}]))

const app = Fastify()
app.register(multitenant, { tenants: postgresTenants({ connectionString }), templates, maxResident: Number(maxResident) })
const url = await app.listen({ host: '127.0.0.1', port: 0 })

process.on('message', async () => {
  const { active, evictions } = await app.multitenant.stats({ limit: 0 })
  process.send({ active, evictions, megabytes: process.memoryUsage().rss / 1024 ** 2 })
})
process.on('disconnect', async () => {
  await app.close()
  process.exit()
})
process.send({ url })
