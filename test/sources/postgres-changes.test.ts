import { EventEmitter, once } from 'node:events'
import pg from 'pg'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { postgresTenants } from '../../lib/sources/postgres/postgres.ts'
import { Names } from '../../lib/sources/postgres/names.ts'
import { appWith, Events, LogLines, refusal, send, until } from '../fixtures/lifecycle/app.ts'
import { ids } from '../fixtures/test-source.ts'
import { WRONG_OPTION, connectionString, database, log, makeSource } from '../fixtures/postgres/nodes.ts'
import type { FastifyInstance } from 'fastify'
import type { PostgresSource, PostgresTenantsOptions } from '../../lib/sources/postgres/postgres.ts'
import type { MultitenantOptions } from '../../types/index.ts'

const ROUTES = "export default async (app, { tenant, config }) => app.get('/', async () => tenant.id + ' ' + config.plan)"

/** The same database, by connections with a recognisable name. */
function named (application: string): string {
  const url = new URL(connectionString)
  url.searchParams.set('application_name', application)
  return url.href
}

/** One of several processes: each has its own memory, and they share the table. */
interface Node {
  app: FastifyInstance
  source: PostgresSource
  log: LogLines
}

/** The app closes it, and not the test. */
async function startNode (t: Test, schema: string, root: string, options: MultitenantOptions = {}, more: Partial<PostgresTenantsOptions> = {}): Promise<Node> {
  const source = postgresTenants({ connectionString, schema, root, ...more })
  await source.migrate()
  const log = new LogLines()
  const app = appWith(t, source, options, log.server)
  await app.ready()
  return { app, source, log }
}

/** Several nodes, in which acme is loaded. */
async function startNodes (t: Test, count: number): Promise<{ nodes: Node[], table: string, events: Events }> {
  const root = t.testdir({ standard: { routes: { 'root.mjs': ROUTES } } })
  const schema = database.newSchema()
  const events = new Events(t)
  const nodes = await Promise.all(Array.from({ length: count }, () => startNode(t, schema, root)))
  const table = nodes[0]!.source.table
  await put(table, 'acme', 'free')
  for (const { app } of nodes) t.equal((await send(app, 'acme')).body, 'acme free')
  return { nodes, table, events }
}

async function put (table: string, id: string, plan: string): Promise<void> {
  await database.query(`insert into ${table} (id, dir, config) values ($1, 'standard', $2) on conflict (id) do update set config = excluded.config`, [id, { plan }])
}

t.test('a change reaches all processes', async t => {
  const { nodes, table, events } = await startNodes(t, 3)
  const all = async (change: () => Promise<unknown>): Promise<void> => {
    const before = events.of('reload').length
    await change()
    await until(() => events.of('reload').length === before + nodes.length, Infinity)
  }
  const refusals = async (): Promise<unknown[]> => Promise.all(nodes.map(async ({ app }) => refusal(await send(app, 'acme'))))

  await all(() => put(table, 'acme', 'pro'))
  for (const { app } of nodes) t.equal((await send(app, 'acme')).body, 'acme pro')

  await database.query(`update ${table} set active = false where id = 'acme'`)
  await until(() => nodes.every(({ app }) => app.multitenant.get('acme') === null), Infinity)
  t.same(await refusals(), nodes.map(() => [403, 'FST_TENANT_SUSPENDED']))

  await database.query(`update ${table} set active = true where id = 'acme'`)
  for (const { app } of nodes) await until(async () => (await send(app, 'acme')).body === 'acme pro', Infinity)

  await database.query(`delete from ${table} where id = 'acme'`)
  await until(() => nodes.every(({ app }) => app.multitenant.get('acme') === null), Infinity)
  t.same(await refusals(), nodes.map(() => [404, 'FST_TENANT_NOT_FOUND']))

  await put(table, 'acme', 'free')
  for (const { app } of nodes) await until(async () => (await send(app, 'acme')).body === 'acme free', Infinity)

  await database.query(`update ${table} set id = 'acme-new' where id = 'acme'`)
  for (const { app } of nodes) await until(async () => (await send(app, 'acme-new')).body === 'acme-new free', Infinity)
  await until(() => nodes.every(({ app }) => app.multitenant.get('acme') === null), Infinity)
  t.same(await refusals(), nodes.map(() => [404, 'FST_TENANT_NOT_FOUND']))
})

t.test('a tenant that one process evicts stays in the others', async t => {
  const { nodes: [one, other] } = await startNodes(t, 2)
  await one?.app.multitenant.unload('acme')
  t.ok(other?.app.multitenant.get('acme'))
})

t.test("environments in one database do not receive each other's messages", async t => {
  const schema = database.newSchema()
  const heard: string[] = []
  const sources = await Promise.all([{ schema }, { schema, namespace: 'staging' }, {}].map(options => makeSource(t, options)))
  for (const source of sources) {
    await source.open({ log })
    source.watch(change => heard.push(`${sources.indexOf(source)} ${change?.id}`), () => [])
  }
  for (const [index, { table }] of sources.entries()) await database.query(`insert into ${table} (id) values ('of-${index}')`)
  await until(() => heard.length >= 3, Infinity)
  t.same(heard.sort(), ['0 of-0', '1 of-1', '2 of-2'])
  t.same(await ids(sources[1]!), ['of-1'])

  // The negative control: with one table, both receive them.
  const [first] = sources
  const twin = await makeSource(t, { schema })
  await twin.open({ log })
  const both = Promise.all([first!, twin].map(source => new Promise(resolve => source.watch(resolve, () => []))))
  await database.query(`insert into ${twin.table} (id) values ('shared')`)
  t.match(await both, [{ id: 'shared' }, { id: 'shared' }])
})

t.test('a host that moves belongs to its new tenant, however many move', async t => {
  const source = await makeSource(t)
  await source.open({ log })
  await database.query(`insert into ${source.table} (id, hosts) values ('acme', '{acme.example}'), ('globex', default)`)
  await until(async () => await source.resolveHost('acme.example') === 'acme', Infinity)
  await database.query(`update ${source.table} set hosts = default where id = 'acme'; update ${source.table} set hosts = '{acme.example}' where id = 'globex'`)
  await until(async () => await source.resolveHost('acme.example') === 'globex', Infinity)
  await database.query(`update ${source.table} set hosts = (select array_agg('host-' || n || '.example') from generate_series(1, 1000) n) where id = 'globex'`)
  await until(async () => await source.resolveHost('acme.example') === null, Infinity)
  t.equal(await source.resolveHost('host-1000.example'), 'globex')
  await t.resolves(database.query(`insert into ${source.table} (id, hosts) select 'short', array_agg(n::text) from generate_series(1000, 2199) n`), 'a message holds 8,000 bytes')
  await database.query(`update ${source.table} set id = 'initech' where id = 'globex'`)
  await until(async () => await source.resolveHost('host-1000.example') === 'initech', Infinity)
  await database.query(`update ${source.table} set hosts = '{host-1.example}' where id = 'initech'`)
  await until(async () => await source.resolveHost('host-1000.example') === null, Infinity)
  t.equal(await source.resolveHost('host-1.example'), 'initech')
  await database.query(`update ${source.table} set id = 'globex' where id = 'initech'`)
  await until(async () => await source.resolveHost('host-1.example') === 'globex', Infinity)
  await database.query(`delete from ${source.table} where id = 'globex'`)
  await until(async () => await source.resolveHost('host-1.example') === null, Infinity)
})

t.test('a change that was missed while the connection was lost is found', async t => {
  const { nodes, table, events } = await startNodes(t, 2)
  await put(table, 'globex', 'free')
  await put(table, 'initech', 'free')
  for (const { app } of nodes) for (const id of ['globex', 'initech']) t.equal((await send(app, id)).statusCode, 200)
  // When this is handled, all earlier messages have been.
  await put(table, 'acme', 'basic')
  await until(() => events.of('reload').length === nodes.length, Infinity)
  const lost = nodes.map(({ log }) => log.next('lost the connection that listens for tenant changes; loaded tenants keep serving'))
  // No trigger fires, so no message is sent.
  await database.query(`
    set session_replication_role = replica;
    update ${table} set config = '{"plan": "pro"}', version = version + 1000 where id = 'acme';
    update ${table} set active = false, version = version + 1000 where id = 'globex';
    delete from ${table} where id = 'initech'`)
  for (const { app } of nodes) {
    t.equal((await send(app, 'acme')).body, 'acme basic', 'the control: it has been missed')
    for (const id of ['globex', 'initech']) t.equal((await send(app, id)).statusCode, 200)
  }
  await database.kill()
  await Promise.all(lost)
  for (const { app } of nodes) {
    await until(async () => (await send(app, 'acme')).body === 'acme pro', Infinity)
    await until(async () => (await send(app, 'globex')).statusCode === 403, Infinity)
    await until(async () => (await send(app, 'initech')).statusCode === 404, Infinity)
  }
})

t.test('without PostgreSQL', async t => {
  const root = t.testdir({ standard: { routes: { 'root.mjs': ROUTES } } })
  const events = new Events(t)
  const { app, source, log } = await startNode(t, database.newSchema(), root, { identify: ['host', 'header'] })
  const host = (name: string) => app.inject({ url: '/', headers: { host: name } })
  await put(source.table, 'acme', 'free')
  await put(source.table, 'cold', 'free')
  const heard = events.next('reload')
  t.equal((await send(app, 'acme')).body, 'acme free')
  await database.query(`update ${source.table} set hosts = '{acme.example, *.acme.example}' where id = 'acme'`)
  await heard
  await until(async () => (await host('acme.example')).body === 'acme free', Infinity)
  await until(async () => (await host('www.acme.example')).body === 'acme free', Infinity)
  t.equal((await host('nobody.example')).statusCode, 404)

  const lost = log.next('lost the connection that listens for tenant changes; loaded tenants keep serving')
  await database.stop()
  await lost
  for (const name of ['acme.example', 'www.acme.example']) t.equal((await host(name)).body, 'acme free', 'a tenant in memory goes on')
  for (const id of ['cold', 'late']) {
    const response = await app.inject({ url: '/', headers: { host: 'acme.example', 'x-tenant-id': id } })
    t.equal(response.statusCode, 200, 'the host says whose it is')
    const cold = await app.multitenant.init(id).then(() => null, (error: { headers: object }) => error)
    t.match(cold, { code: 'FST_TENANT_LOAD_FAILED', statusCode: 503, headers: { 'retry-after': /^\d+$/ } })
  }
  for (const name of ['nobody.example', 'late.example']) {
    const response = await host(name)
    t.same([response.statusCode, response.headers['retry-after']], [503, '1'], 'what is not known is not "nobody"')
  }
  await t.rejects(app.multitenant.reload('acme'), { code: 'FST_TENANT_LOAD_FAILED' })
  t.equal((await host('acme.example')).body, 'acme free')

  const back = log.next('listening for tenant changes')
  await database.start()
  await back
  await put(source.table, 'late', 'pro')
  await database.query(`update ${source.table} set hosts = '{late.example}' where id = 'late'`)
  await until(async () => (await host('late.example')).body === 'late pro', Infinity)
  await app.multitenant.init('cold')
  const reload = events.next('reload', ({ id }) => id === 'acme')
  await put(source.table, 'acme', 'pro')
  await reload
  t.equal((await host('acme.example')).body, 'acme pro')
  await database.query(`update ${source.table} set hosts = '{}' where id = 'acme'`)
  await until(async () => (await host('acme.example')).statusCode === 404, Infinity)
})

t.test('a host that is known to have moved belongs to no tenant while PostgreSQL does not answer', async t => {
  const root = t.testdir({ standard: { routes: { 'root.mjs': ROUTES } } })
  const events = new Events(t)
  const { app, source, log } = await startNode(t, database.newSchema(), root, { identify: 'host' })
  const host = (name: string) => app.inject({ url: '/', headers: { host: name } })
  await put(source.table, 'acme', 'free')
  await put(source.table, 'globex', 'free')
  await database.query(`update ${source.table} set hosts = array[id || '.example', '*.' || id || '.example']`)
  for (const name of ['acme.example', 'www.acme.example', 'globex.example']) await until(async () => (await host(name)).statusCode === 200, Infinity)
  // The earlier messages about them have been handled when this one is.
  for (const id of ['acme', 'globex']) await put(source.table, id, 'pro')
  for (const id of ['acme', 'globex']) await until(async () => (await host(`${id}.example`)).body === `${id} pro`, Infinity)
  t.equal((await host('www.acme.example')).body, 'acme pro')
  const reload = events.next('reload', ({ id }) => id === 'acme')
  await database.query(`update ${source.table} set hosts = '{}' where id = 'acme'`)
  await reload
  const lost = log.next('lost the connection that listens for tenant changes; loaded tenants keep serving')
  await database.stop()
  t.teardown(() => database.start())
  await lost
  for (const name of ['acme.example', 'www.acme.example']) t.equal((await host(name)).statusCode, 503, name)
  t.equal((await host('globex.example')).body, 'globex pro', 'the control: other hosts keep their tenants')
})

t.test('an app does not boot without PostgreSQL', async t => {
  const source = await makeSource(t)
  await database.stop()
  t.teardown(() => database.start())
  await t.rejects(source.open({ log }))
})

t.test('a given pool is used, and left open', async t => {
  const schema = database.newSchema()
  const pool = new pg.Pool({ connectionString: named(`pool of ${schema}`) })
  t.teardown(() => pool.end())
  const source = postgresTenants({ pool, schema })
  await source.migrate()
  const log = new LogLines()
  const app = appWith(t, source, {}, log.server)
  await app.ready()
  await database.query(`insert into ${source.table} (id) values ('acme')`)
  t.equal((await app.multitenant.init('acme')).id, 'acme')
  const lost = log.next('lost an idle connection to the tenant database')
  t.equal(await database.kill(`pool of ${schema}`), 2, 'one of the pool, and one that listens')
  t.match(await lost, { level: 40 })
  await app.close()
  t.equal(pool.listenerCount('error'), 0)
  t.equal((await pool.query('select 1 as one')).rows[0].one, 1)
})

t.test('with a pool, connectionString says where to listen', async t => {
  const schema = database.newSchema()
  const pool = new pg.Pool({ connectionString })
  t.teardown(() => pool.end())
  const source = postgresTenants({ pool, connectionString: named(`listener of ${schema}`), schema })
  t.teardown(() => source.close())
  await source.migrate()
  await source.open({ log })
  t.equal(await database.kill(`listener of ${schema}`), 1)
})

t.test('a source can be registered once', async t => {
  const source = await makeSource(t)
  await source.open({ log })
  await t.rejects(source.open({ log }), WRONG_OPTION)
})

t.test('a message that does not come from the table does no harm', async t => {
  const schema = database.newSchema()
  const source = await makeSource(t, { schema })
  const { channel } = new Names(schema, undefined)
  const lines = new LogLines()
  await source.open({ log: pino(lines.server.logger as never, (lines.server.logger as { stream: pino.DestinationStream }).stream) })
  const client = new pg.Client(connectionString)
  await client.connect()
  t.teardown(() => client.end())
  const changed = new Promise(resolve => source.watch(resolve, () => []))
  const strange = ['', 'null', '{', '{}', '{"id":"acme\\u0000"}', '{"id":"acme","hosts":[1]}', '{"id":"acme","hosts":"acme.example"}']
  for (const payload of strange) await client.query('select pg_notify($1, $2)', [channel, payload])
  await database.query(`insert into ${source.table} (id) values ('acme')`)
  t.match(await changed, { id: 'acme' })
  const count = (): number => lines.of('ignored messages on the tenant channel that the table did not send').reduce((sum, line) => sum + Number(line['count']), 0)
  await until(() => count() === strange.length, Infinity)
})

t.test('after messages about more tenants than are remembered, any tenant may have changed', async t => {
  const schema = database.newSchema()
  const source = await makeSource(t, { schema })
  await source.open({ log })
  const { channel } = new Names(schema, undefined)
  const told = new EventEmitter()
  source.watch(change => told.emit(change === undefined ? 'any' : change.id), () => [])
  const added = once(told, 'acme')
  await database.query(`insert into ${source.table} (id) values ('acme')`)
  await added
  const any = once(told, 'any')
  await database.query(`select pg_notify('${channel}', json_build_object('id', 't' || n, 'version', '1')::text) from generate_series(1, 1100) n`)
  await t.resolves(any)
})
