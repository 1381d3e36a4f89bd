import postgres from '@fastify/postgres'
import Fastify from 'fastify'
import multitenant from 'fastify-multitenant'
import { TenantDatabase } from './database.js'

// The schema of a tenant's config, which comes from its row, its template and the template's .env.
const configSchema = {
  type: 'object',
  properties: {
    plan: { enum: ['trial', 'standard', 'pro'], default: 'trial' },
    NOTES_PER_PAGE: { type: 'integer', minimum: 1, default: 10 }
  }
}

/** The app, with everything that all customers share. A folder below `templates/` holds what the customers of one plan share. */
export function buildApp ({ connectionString, tenants, logger = false }) {
  const app = Fastify({ logger })

  app.register(postgres, { connectionString })
  app.register(multitenant, {
    tenants,
    templates: new URL('./templates', import.meta.url),
    configSchema,
    // The arguments of every service: each tenant's services get its own part of the database.
    services: ({ app, tenant }) => [new TenantDatabase(app.pg, tenant.id), tenant.config]
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

/** The routes of every customer, unless its template or its own code has a route for the same method and URL. */
async function sharedRoutes (app) {
  const config = { tenant: 'required' }

  app.get('/me', { config }, async ({ tenant }) => {
    return { tenant: tenant.id, name: tenant.name, plan: tenant.config.plan, template: tenant.template }
  })

  app.get('/greeting', { config }, async ({ tenant }) => ({ greeting: `Welcome to ${tenant.name}!` }))
}
