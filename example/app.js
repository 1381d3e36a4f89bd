import postgres from '@fastify/postgres'
import Fastify from 'fastify'
import multitenant from 'fastify-multitenant'

// The schema of a tenant's config, which comes from its config file and its .env.
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

/** The app, with everything that tenants share. A folder below `tenants/` holds what only one tenant has. */
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
    // A missing database fails the start, and not the first request.
    await app.pg.query('select 1')
  })

  app.get('/health', { config: { tenant: 'ignore' } }, async () => ({ ok: true }))

  app.register(sharedRoutes)
  return app
}

/** The routes of every tenant, unless it has its own route for the same method and URL. */
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
