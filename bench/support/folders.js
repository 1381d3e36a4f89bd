import { mkdir, mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const THREE_ROUTES = `export default async function routes (app) {
  app.get('/users', async () => [])
  app.get('/users/:id', async request => ({ id: request.params.id }))
  app.post('/users', async request => request.body)
}
`

const USER = {
  $id: 'user',
  type: 'object',
  required: ['name', 'email'],
  properties: { id: { type: 'integer' }, name: { type: 'string', minLength: 1 }, email: { type: 'string', format: 'email' }, active: { type: 'boolean' } }
}

/** A list of them, one, a new one, a change and a removal: of users and of what belongs to them. */
const TEN_ROUTES = `const user = { $ref: 'user#' }
const params = { type: 'object', properties: { id: { type: 'integer' } } }
const querystring = { type: 'object', properties: { page: { type: 'integer', minimum: 1, default: 1 }, search: { type: 'string' } } }

export default async function routes (app) {
  for (const path of ['/users', '/members']) {
    app.get(path, { schema: { querystring, response: { 200: { type: 'array', items: user } } } }, async () => [])
    app.get(path + '/:id', { schema: { params, response: { 200: user } } }, async request => request.params)
    app.post(path, { schema: { body: user, response: { 201: user } } }, async (request, reply) => reply.code(201).send(request.body))
    app.put(path + '/:id', { schema: { params, body: user, response: { 200: user } } }, async request => request.body)
    app.delete(path + '/:id', { schema: { params } }, async (request, reply) => reply.code(204).send())
  }
}
`

const SERVICE = `export default class Users {
  constructor (tenant) {
    this.tenant = tenant
  }

  find (id) {
    return { id, tenant: this.tenant.id }
  }
}
`

/** What a tenant's folder holds. */
export const contents = {
  /** Three routes. */
  small: { routes: THREE_ROUTES, schemas: [] },
  /** Ten routes with schemas. */
  large: { routes: TEN_ROUTES, schemas: [USER] }
}

/** Makes a folder of tenants' folders, and returns its path. */
export async function writeFolders (ids, { routes, schemas }) {
  const root = await mkdtemp(join(tmpdir(), 'multitenant-bench-'))
  for (const id of ids) {
    for (const name of ['routes', 'schemas']) await mkdir(join(root, id, name), { recursive: true })
    await writeFile(join(root, id, 'config.json'), '{ "plan": "free" }')
    await writeFile(join(root, id, 'routes', 'users.mjs'), routes)
    for (const schema of schemas) await writeFile(join(root, id, 'schemas', `${schema.$id}.json`), JSON.stringify(schema))
  }
  return root
}

/** Makes a folder with one template's folder, which has a service too, and returns its path. */
export async function writeTemplate (name, content) {
  const root = await writeFolders([name], content)
  await mkdir(join(root, name, 'services'))
  await writeFile(join(root, name, 'services', 'users.mjs'), SERVICE)
  return root
}

/** The same as a plugin. */
export async function toPlugin ({ routes, schemas }) {
  const { default: plugin } = await import(`data:text/javascript,${encodeURIComponent(routes)}`)
  return async app => {
    for (const schema of schemas) app.addSchema(schema)
    await app.register(plugin)
  }
}
