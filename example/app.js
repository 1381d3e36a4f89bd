import postgres from '@fastify/postgres'
import Fastify from 'fastify'
import multitenant from 'fastify-multitenant'

// What a tenant's config may hold: its config file and its .env together.
const configSchema = {
  type: 'object',
  properties: {
    plan: { enum: ['free', 'pro'], default: 'free' },
    NOTES_PER_PAGE: { type: 'integer', minimum: 1, default: 10 }
  }
}

const note = {
  type: 'object',
  required: ['text'],
  properties: { text: { type: 'string', minLength: 1 } }
}

const folders = new URL('./tenants', import.meta.url)

/** The app, with what all tenants share; what is a tenant's own is in its folder below `tenants/`. */
export function buildApp ({ connectionString, logger = false, tenants = folders }) {
  const app = Fastify({ logger })

  app.register(postgres, { connectionString })
  app.register(multitenant, {
    tenants,
    configSchema,
    services: ({ app, tenant }) => [app.db, tenant.config]
  })
  app.addHook('onReady', async () => {
    // Without a listener, an idle connection that breaks would end the process.
    app.pg.pool.on('error', (err) => app.log.error(`Lost an idle database connection: ${err.message}`))
    // A database that is not there ends the start, not the first request.
    await app.pg.query('select 1')
  })

  app.get('/health', { config: { tenant: 'ignore' } }, async () => ({ ok: true }))

  app.register(sharedRoutes)
  return app
}

/** Every tenant has these, unless it has a route of its own for the same method and URL. */
async function sharedRoutes (app) {
  const config = { tenant: 'required' }

  app.get('/me', { config }, async ({ tenant, tenantId }) => {
    return { tenant: tenantId, name: tenant.name, plan: tenant.config.plan }
  })

  app.get('/greeting', { config }, async ({ tenant }) => ({ greeting: `Welcome to ${tenant.name}!` }))

  app.get('/notes', { config }, async ({ tenant }) => tenant.getService('NoteService').list())

  app.post('/notes', { config, schema: { body: note } }, async ({ tenant, body }, reply) => {
    reply.code(201)
    return tenant.getService('NoteService').add(body)
  })
}
