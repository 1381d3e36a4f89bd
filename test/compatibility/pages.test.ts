import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import routesPlugin from '@fastify/routes'
import fastifyStatic from '@fastify/static'
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import { Type, TypeBoxValidatorCompiler } from '@fastify/type-provider-typebox'
import view from '@fastify/view'
import ejs from 'ejs'
import { jsonSchemaTransform, serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod'
import t from 'tap'
import { z } from 'zod'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { tryAll } from '../fixtures/compatibility/suite.ts'
import type { Owner } from '../fixtures/compatibility/suite.ts'

const dir = t.testdir()

/** A folder with a page and a template of an owner. */
function folderOf (owner: Owner): string {
  const folder = join(dir, owner)
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'page.html'), `the page of ${owner}`)
  writeFileSync(join(folder, 'hello.ejs'), `hello <%= name %> from ${owner}`)
  return folder
}

const documented: FastifyPluginAsync = async scope => {
  scope.addSchema({ $id: 'item', type: 'object', properties: { id: { type: 'string' } } })
  scope.get('/item', { schema: { summary: 'an item', response: { 200: { $ref: 'item#' } } } }, async () => ({ id: '1' }))
}

t.test('pages', async t => tryAll(t, 'pages', {
  '@fastify/routes': {
    plugin: () => async app => { await app.register(routesPlugin) },
    routes: async scope => {
      scope.get('/item', async () => [...scope.getDecorator<Map<string, unknown>>('routes').keys()])
    },
    works: async (t, { send }) => { t.ok((await send('/item')).json().includes('/item')) },
    decorates: ['app.routes'],
    apart: async (t, acme, globex) => { t.same((await acme.send('/item')).json(), (await globex.send('/item')).json()) },
    note: 'Registered by the app, it lists the routes of every tenant that was loaded.'
  },
  '@fastify/static': {
    plugin: owner => async app => { await app.register(fastifyStatic, { root: folderOf(owner), prefix: '/public/' }) },
    routes: async scope => {
      scope.get('/page', (_request, reply) => reply.sendFile('page.html'))
      scope.get('/saved', (_request, reply) => reply.download('page.html', 'saved.html'))
    },
    works: async (t, { send }, owner) => {
      const response = await send('/public/page.html')
      t.same([response.body, response.headers['content-type']], [`the page of ${owner}`, 'text/html; charset=utf-8'])
      t.equal((await send({ url: '/public/page.html', headers: { 'if-none-match': String(response.headers.etag) } })).statusCode, 304)
      t.equal((await send({ url: '/public/page.html', headers: { range: 'bytes=0-2' } })).body, 'the')
      t.equal((await send('/public/none.html')).statusCode, 404)
      t.equal((await send('/page')).body, `the page of ${owner}`)
      t.match((await send('/saved')).headers['content-disposition'], 'filename=saved.html')
    },
    decorates: ['reply.sendFile', 'reply.download'],
    absent: async (t, { send }) => { t.equal((await send('/public/page.html')).statusCode, 404) }
  },
  '@fastify/swagger': {
    plugin: owner => async app => { await app.register(swagger, { openapi: { info: { title: owner, version: '1.0.0' } } }) },
    routes: async scope => {
      await scope.register(documented)
      scope.get('/openapi', { schema: { hide: true } }, async () => scope.swagger())
    },
    works: async (t, { send }, owner) => {
      const document = (await send('/openapi')).json()
      t.match(document, { info: { title: owner }, paths: { '/item': { get: { summary: 'an item' } } } })
      t.match((await send('/item')).json(), { id: '1' })
    },
    bare: async scope => { scope.get('/openapi', async () => ({})) },
    decorates: ['app.swagger'],
    apart: async (t, acme) => { t.same(Object.keys((await acme.send('/openapi')).json().paths), ['/item']) },
    note: 'Registered by the app, its document has the routes of every tenant that was loaded: see the [limits](lifecycle.md#limits).'
  },
  '@fastify/swagger-ui': {
    plugin: owner => async app => {
      await app.register(swagger, { openapi: { info: { title: owner, version: '1.0.0' } } })
      await app.register(swaggerUi, { routePrefix: '/docs', theme: { title: `docs of ${owner}` } })
    },
    routes: documented,
    works: async (t, { send }, owner) => {
      const page = await send('/docs/')
      t.equal(page.statusCode, 200)
      t.match(page.body, `<title>docs of ${owner}</title>`)
      t.equal((await send('/docs/static/swagger-ui.css')).statusCode, 200)
      t.match((await send('/docs/json')).json(), { info: { title: owner } })
    },
    decorates: ['app.swaggerCSP'],
    absent: async (t, { send }) => { t.equal((await send('/docs/')).statusCode, 404) },
    note: 'The same as for @fastify/swagger.'
  },
  '@fastify/type-provider-typebox': {
    plugin: () => async app => { app.setValidatorCompiler(TypeBoxValidatorCompiler) },
    routes: async scope => {
      const schema = { body: Type.Object({ id: Type.Integer() }) }
      scope.withTypeProvider<TypeBoxTypeProvider>().post('/item', { schema }, async ({ body }) => ({ next: body.id + 1 }))
    },
    works: async (t, { send }) => {
      t.same((await send({ method: 'POST', url: '/item', payload: { id: 1 } })).json(), { next: 2 })
      t.match((await send({ method: 'POST', url: '/item', payload: { id: 'x' } })).json(), { statusCode: 400, code: 'FST_ERR_VALIDATION' })
    },
    // Ajv, which checks here, accepts a number given as a string.
    bare: async scope => { scope.post('/item', { schema: { body: { type: 'object', properties: { id: { type: 'integer' } } } } }, async ({ body }) => body) },
    absent: async (t, { send }) => { t.same((await send({ method: 'POST', url: '/item', payload: { id: '1' } })).json(), { id: 1 }) }
  },
  '@fastify/view': {
    plugin: owner => async app => { await app.register(view, { engine: { ejs }, root: folderOf(owner) }) },
    routes: async scope => {
      scope.get('/hello', (_request, reply) => reply.view('hello.ejs', { name: 'ann' }))
      scope.get('/rendered', async () => ({ html: await scope.view('hello.ejs', { name: 'bob' }) }))
    },
    works: async (t, { send }, owner) => {
      const response = await send('/hello')
      t.same([response.body, response.headers['content-type']], [`hello ann from ${owner}`, 'text/html; charset=utf-8'])
      t.same((await send('/rendered')).json(), { html: `hello bob from ${owner}` })
    },
    decorates: ['app.view', 'reply.view']
  },
  'fastify-type-provider-zod': {
    plugin: owner => async (app: FastifyInstance) => {
      app.setValidatorCompiler(validatorCompiler)
      app.setSerializerCompiler(serializerCompiler)
      await app.register(swagger, { openapi: { info: { title: owner, version: '1.0.0' } }, transform: jsonSchemaTransform })
    },
    routes: async scope => {
      const schema = { body: z.object({ id: z.number().int() }), response: { 200: z.object({ next: z.number() }) } }
      scope.withTypeProvider<ZodTypeProvider>().post('/item', { schema }, async ({ body }) => ({ next: body.id + 1, more: true }))
      scope.get('/openapi', { schema: { hide: true } }, async () => scope.swagger())
    },
    works: async (t, { send }) => {
      t.same((await send({ method: 'POST', url: '/item', payload: { id: 1 } })).json(), { next: 2 })
      t.match((await send({ method: 'POST', url: '/item', payload: { id: 'x' } })).json(), { statusCode: 400, code: 'FST_ERR_VALIDATION' })
      t.match((await send('/openapi')).json().paths['/item'].post.requestBody, { content: { 'application/json': { schema: { properties: { id: { type: 'integer' } } } } } })
    },
    bare: async scope => { scope.post('/item', { schema: { body: { type: 'object', properties: { id: { type: 'integer' } } } } }, async ({ body }) => body) },
    absent: async (t, { send }) => { t.same((await send({ method: 'POST', url: '/item', payload: { id: '1' } })).json(), { id: 1 }) }
  }
}))
