import { on, once } from 'node:events'
import { fastifyAwilixPlugin } from '@fastify/awilix'
import env from '@fastify/env'
import { FastifyOtelInstrumentation } from '@fastify/otel'
import postgres from '@fastify/postgres'
import { fastifySchedule } from '@fastify/schedule'
import { context, trace } from '@opentelemetry/api'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { asFunction, createContainer } from 'awilix'
import mercurius from 'mercurius'
import t from 'tap'
import { AsyncTask, SimpleIntervalJob } from 'toad-scheduler'
import WebSocket from 'ws'
import type { Cradle } from '@fastify/awilix'
import type { AwilixContainer } from 'awilix'
import { startPostgres } from '../fixtures/compatibility/postgres.ts'
import { tryAll } from '../fixtures/compatibility/suite.ts'
import type { Client } from '../fixtures/compatibility/start.ts'
import type { Owner } from '../fixtures/compatibility/suite.ts'

const server = await startPostgres(t.testdir())
t.teardown(() => server.close())

/** What each owner's tracer has seen. */
const spans = new Map<string, InMemorySpanExporter>()

/** A subscription with one event. */
async function * greet (text: string): AsyncGenerator<{ greetings: string }> {
  yield { greetings: text }
}

/** The first event of a subscription, received as a client of graphql-ws does. */
async function subscribe ({ port, headers }: Client, query: string): Promise<unknown> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/graphql`, 'graphql-transport-ws', { headers })
  await once(socket, 'open')
  socket.send(JSON.stringify({ type: 'connection_init' }))
  for await (const [data] of on(socket, 'message', { close: ['close'] }) as AsyncIterable<[Buffer]>) {
    const { type, payload } = JSON.parse(String(data)) as { type: string, payload: unknown }
    if (type === 'connection_ack') socket.send(JSON.stringify({ id: '1', type: 'subscribe', payload: { query } }))
    if (type !== 'next') continue
    socket.close()
    return payload
  }
  throw new Error('The socket was closed before an event')
}

t.test('data', async t => tryAll(t, 'data', {
  '@fastify/awilix': {
    plugin: owner => async app => {
      const container = createContainer<Cradle>() as AwilixContainer<Cradle>
      container.register({
        owner: asFunction(() => owner).singleton(),
        greeting: asFunction(({ owner, name }: { owner: string, name: string }) => `hello ${name} from ${owner}`).scoped()
      } as never)
      await app.register(fastifyAwilixPlugin, { container, disposeOnClose: true, disposeOnResponse: true })
      app.addHook('onRequest', async request => request.diScope.register({ name: asFunction(() => String(request.headers['x-name'])) } as never))
    },
    routes: async scope => { scope.get('/hello', async request => ({ hello: request.diScope.resolve('greeting' as never) })) },
    works: async (t, { send }, owner) => {
      t.same((await send({ url: '/hello', headers: { 'x-name': 'ann' } })).json(), { hello: `hello ann from ${owner}` })
      t.same((await send({ url: '/hello', headers: { 'x-name': 'bob' } })).json(), { hello: `hello bob from ${owner}` })
    },
    decorates: ['app.diContainer', 'request.diScope'],
    note: "Give each tenant its own `container`: the whole process shares the plugin's default container."
  },
  '@fastify/env': {
    plugin: owner => async app => {
      await app.register(env, { confKey: 'settings', data: { OWNER: owner }, schema: { type: 'object', properties: { OWNER: { type: 'string' }, PORT: { type: 'integer', default: 1 } } } })
    },
    routes: async scope => { scope.get('/settings', async () => scope.getDecorator('settings')) },
    works: async (t, { send }, owner) => { t.same((await send('/settings')).json(), { OWNER: owner, PORT: 1 }) },
    decorates: ['app.settings', 'app.getEnvs'],
    note: 'A tenant does not need it for a config of its own: use `config.js` and `configSchema`.'
  },
  '@fastify/otel': {
    plugin: owner => async app => {
      const exporter = new InMemorySpanExporter()
      spans.set(owner, exporter)
      const instrumentation = new FastifyOtelInstrumentation()
      instrumentation.setTracerProvider(new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }))
      await app.register(instrumentation.plugin())
      app.addHook('preHandler', async function traced () {})
    },
    routes: async scope => {
      scope.get('/item', async request => ({ traced: trace.getSpan(request.opentelemetry().context ?? context.active()) !== undefined }))
    },
    works: async (t, { send }, owner) => {
      const exporter = spans.get(owner) as InMemorySpanExporter
      exporter.reset()
      t.same((await send('/item')).json(), { traced: true })
      const finished = exporter.getFinishedSpans()
      const requests = finished.filter(({ name }) => name === 'request')
      t.equal(requests.length, 1, 'one span for a request')
      t.match(requests[0]?.attributes, { 'http.route': '/item', 'http.request.method': 'GET', 'http.response.status_code': 200 })
      t.equal(finished.filter(({ name }) => name.startsWith('handler')).length, 1, 'and one for its handler')
    },
    bare: async scope => { scope.get('/item', async request => ({ traced: 'opentelemetry' in request })) },
    decorates: ['request.opentelemetry'],
    absent: async (t, { send }) => { t.same((await send('/item')).json(), { traced: false }) }
  },
  '@fastify/postgres': {
    plugin: owner => async app => {
      await app.register(postgres, { connectionString: server.connectionString, application_name: owner, max: 2 })
    },
    routes: async scope => {
      scope.get('/who', async () => {
        const { rows } = await scope.pg.query("SELECT current_setting('application_name') AS who")
        return rows[0]
      })
      scope.get('/transaction', async () => scope.pg.transact(async client => {
        const { rows } = await client.query('SELECT $1::int + 1 AS sum', [1])
        return rows[0]
      }))
    },
    works: async (t, { send }, owner) => {
      t.same((await send('/who')).json(), { who: owner })
      t.same((await send('/transaction')).json(), { sum: 2 })
    },
    decorates: ['app.pg']
  },
  '@fastify/schedule': {
    plugin: () => async app => { await app.register(fastifySchedule) },
    routes: async scope => {
      const ran = new Promise<string>(resolve => {
        const task = new AsyncTask('a task', async () => resolve(String(scope.prefix === '')))
        scope.ready(() => scope.scheduler.addSimpleIntervalJob(new SimpleIntervalJob({ minutes: 1, runImmediately: true }, task, { id: 'job' })))
      })
      scope.get('/job', async () => ({ ran: await ran, jobs: scope.scheduler.getAllJobs().length }))
    },
    works: async (t, { send }) => { t.same((await send('/job')).json(), { ran: 'true', jobs: 1 }) },
    decorates: ['app.scheduler'],
    note: "A job that a tenant adds to the app's scheduler outlives the tenant. Register the plugin in the tenant: its jobs then end with the tenant."
  },
  mercurius: {
    plugin: owner => async app => {
      await app.register(mercurius, {
        schema: 'type Query { add(x: Int, y: Int): Int, owner: String, tenant: String } type Subscription { greetings: String }',
        subscription: { context: (_socket, { tenantId }) => ({ tenant: tenantId }) },
        resolvers: {
          Subscription: {
            greetings: { subscribe: (_root: unknown, _arguments: unknown, context: object) => greet(`hello ${Reflect.get(context, 'tenant')} from ${owner}`) }
          },
          Query: {
            add: (_root: unknown, { x, y }: { x: number, y: number }) => x + y,
            owner: () => owner,
            tenant: (_root: unknown, _arguments: unknown, context: object) => Reflect.get(context, 'tenant')
          }
        },
        context: request => ({ tenant: request.tenantId })
      })
    },
    works: async (t, client, owner: Owner) => {
      const { id, send } = client
      const ask = async (query: string): Promise<unknown> => (await send({ method: 'POST', url: '/graphql', payload: { query } })).json()
      t.same(await ask('{ add(x: 1, y: 2), owner, tenant }'), { data: { add: 3, owner, tenant: id } })
      t.match(await ask('{ nothing }'), { errors: [{ message: 'Cannot query field "nothing" on type "Query".' }] })
      t.same(await subscribe(client, 'subscription { greetings }'), { data: { greetings: `hello ${id} from ${owner}` } })
    },
    decorates: ['app.graphql', 'reply.graphql'],
    absent: async (t, client) => {
      t.equal((await client.send({ method: 'POST', url: '/graphql', payload: { query: '{ owner }' } })).statusCode, 404)
      await t.rejects(subscribe(client, 'subscription { greetings }'), { message: 'Unexpected server response: 404' })
    },
    note: 'Tested with subscriptions over graphql-ws.'
  }
}))
