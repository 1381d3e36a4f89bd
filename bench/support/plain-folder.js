import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import autoload from '@fastify/autoload'
import Fastify from 'fastify'

/** A Fastify app of its own with the schemas and routes of a tenant's folder: what people write without this package. */
export async function plainApp (dir) {
  const app = Fastify()
  const schemas = join(dir, 'schemas')
  for (const name of await readdir(schemas).catch(() => [])) {
    app.addSchema({ $id: name.replace('.json', ''), ...JSON.parse(await readFile(join(schemas, name), 'utf8')) })
  }
  app.register(autoload, { dir: join(dir, 'routes') })
  await app.ready()
  return app
}
