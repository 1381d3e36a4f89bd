import pg from 'pg'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { HostLookup } from '../../lib/hosts/host-lookup.ts'
import { combinedSource } from '../../lib/sources/combined.ts'
import { testTenantSource } from '../../lib/sources/conformance/conformance.ts'
import { DistinctSource } from '../../lib/sources/distinct.ts'
import { KnownTenants } from '../../lib/sources/known-tenants.ts'
import { postgresTenants } from '../../lib/sources/postgres/postgres.ts'
import { HostBatches } from '../../lib/sources/postgres/host-batches.ts'
import { Names } from '../../lib/sources/postgres/names.ts'
import { BootContext } from '../../lib/generations/boot-context.ts'
import { Definitions } from '../../lib/tenants/definitions.ts'
import { LoadContext } from '../../lib/generations/load-context.ts'
import { Lookups } from '../../lib/tenants/lookups.ts'
import { Refusals } from '../../lib/tenants/refusals.ts'
import { appWith, Events, latch, LogLines, turn, until } from '../fixtures/lifecycle/app.ts'
import { openDatabase } from '../fixtures/postgres/database.ts'
import { BatchSource, testedAs, TestSource } from '../fixtures/test-source.ts'
import type { WantedTenant } from '../../lib/sources/conformance/conformance.ts'
import type { PostgresPool, PostgresSource } from '../../lib/sources/postgres/postgres.ts'
import type { TenantSource } from '../../types/index.ts'

const log = pino({ level: 'silent' })
const database = await openDatabase(t)

/** A source that counts the queries of its pool in `queries`. */
async function countedSource (t: Test): Promise<{ source: PostgresSource, schema: string, queries: () => number }> {
  const schema = database.newSchema()
  const pool = new pg.Pool({ connectionString: database.connectionString })
  let queries = 0
  const counted: PostgresPool = {
    options: pool.options,
    query: async query => {
      queries++
      return pool.query(query)
    },
    on: (event, listener) => pool.on(event, listener),
    off: (event, listener) => pool.off(event, listener),
    end: () => pool.end()
  }
  const source = postgresTenants({ pool: counted, schema })
  t.teardown(async () => {
    await source.close()
    await pool.end()
  })
  await source.migrate()
  return { source, schema, queries: () => queries }
}

/** Tenants that are known from the start, and put there by a test. */
class PutTenants extends KnownTenants {
  put ({ id, config }: WantedTenant): void {
    this.tenants.set(id, { id, ...(config !== undefined && { config }) })
  }
}

t.test('sources that are asked for several ids agree with themselves', async t => {
  testTenantSource((name, run) => t.test(`in memory: ${name}`, run), () => testedAs(new BatchSource()))
  testTenantSource((name, run) => t.test(`given in code: ${name}`, run), () => {
    const source = new PutTenants()
    return { source, put: tenant => source.put(tenant) }
  })
  testTenantSource((name, run) => t.test(`several: ${name}`, run), () => {
    const source = new TestSource()
    return { ...testedAs(source), source: combinedSource([new BatchSource(), source, { get: () => undefined as never, async * list () { yield * [] } }]) }
  })
  testTenantSource((name, run) => t.test(`distinct: ${name}`, run), () => {
    const source = new BatchSource()
    return { ...testedAs(source), source: new DistinctSource([source, new TestSource()]) }
  })
})

t.test('several sources', async t => {
  /** A source of these ids, which records the ids that it is asked for. */
  const sourceOf = (many: boolean, ...ids: string[]): TenantSource & { asked: string[] } => {
    const asked: string[] = []
    const source = many ? new BatchSource(asked) : new TestSource()
    for (const id of ids) source.put({ id })
    const get = source.get.bind(source)
    return Object.assign(source, {
      asked,
      get: (id: string) => {
        if (!many) asked.push(id)
        return get(id)
      }
    })
  }

  t.test('are asked in turn, each for the ids that the earlier ones do not know', async t => {
    const sources = [sourceOf(true, 'acme'), sourceOf(false, 'acme', 'globex'), sourceOf(true, 'globex', 'initech'), sourceOf(true)] as const
    const source = combinedSource(sources)
    const found = await source.getMany?.(['acme', 'globex', 'nobody', 'initech', 'acme'])
    t.strictSame(sources.map(({ asked }) => asked), [['acme', 'globex', 'nobody', 'initech'], ['globex', 'nobody', 'initech'], ['nobody', 'initech'], ['nobody']])
    t.strictSame([...found ?? []].map(([id, { version }]) => [id, version]), [['acme', '0:1'], ['globex', '1:2'], ['initech', '2:2']])
    await source.getMany?.(['acme'])
    t.equal(sources[1].asked.length, 3, 'when all are known, those after it are not asked')
  })

  t.test('have no getMany() if none of them has one', async t => {
    t.equal(combinedSource([new TestSource()]).getMany, undefined)
  })

  t.test('fail if one of them fails', async t => {
    const broken = new BatchSource()
    broken.broken = true
    await t.rejects(async () => combinedSource([new BatchSource(), broken]).getMany?.(['acme']), { message: 'The source is broken' })
  })

  t.test('are asked in turn, also after one that returns nothing', async t => {
    const silent: TenantSource = { get: () => undefined as never, async * list () { yield * [] } }
    const forgetful: TenantSource = { ...silent, getMany: ids => new Map(ids.map(id => [id, null as never])) }
    const last = new BatchSource()
    last.put({ id: 'acme', hosts: ['acme.example'] })
    const source = combinedSource([silent, forgetful, last])
    t.match(await source.get('acme'), { id: 'acme' })
    t.match((await source.getMany?.(['acme']))?.get('acme'), { id: 'acme' })
    t.equal(await source.resolveHost?.('acme.example'), 'acme')
    t.equal(await source.get('nobody'), null)
    const app = appWith(t, [silent, { acme: {} }])
    await app.ready()
    t.equal((await app.multitenant.init('acme')).id, 'acme')
  })

  t.test('that must not share an id report it when several ids are asked for', async t => {
    const [one, other] = [new BatchSource(), new TestSource()]
    for (const source of [one, other]) source.put({ id: 'acme' })
    one.put({ id: 'globex' })
    const source = new DistinctSource([one, other])
    t.strictSame([...await source.getMany?.(['globex', 'nobody']) ?? []].map(([id]) => id), ['globex'])
    await t.rejects(async () => source.getMany?.(['globex', 'acme']), { code: 'FST_TENANT_ID_TAKEN' })
  })
})

t.test('many ids cause few queries', async t => {
  const { source, queries } = await countedSource(t)
  await database.query(`insert into ${source.table} (id) select 'tenant-' || n from generate_series(1, 10) n`)
  const before = queries()
  const ids = Array.from({ length: 10_000 }, (_, index) => `tenant-${index}`)
  const found = await source.getMany([...ids, ...ids, 'a\0', 'a'.repeat(8_192)])
  t.equal(found.size, 10)
  t.equal(queries() - before, 10)
  t.equal(await source.get('a'.repeat(8_192)), null)
  t.equal((await source.getMany(['a'.repeat(8_192), 'a\0'])).size, 0)
  t.equal(queries() - before, 10, 'ids that the table cannot have cost none')
  await database.query(`update ${source.table} set dir = '/etc' where id = 'tenant-1'`)
  await t.rejects(source.getMany(['tenant-1', 'tenant-2']), { code: 'FST_TENANT_ROW_INVALID' })
})

t.test("a flood of made-up hosts causes few queries, and a tenant's host is found meanwhile", async t => {
  const { source, queries } = await countedSource(t)
  await database.query(`insert into ${source.table} (id, hosts) values ('acme', '{acme.example, *.acme.example}')`)
  const lookup = new HostLookup({ resolveHost: host => source.resolveHost(host), timeout: 60_000, log })
  const before = queries()
  const flood = Array.from({ length: 1_000 }, async (_, index) => lookup.find(`made-up-${index}.example`))
  t.equal(await lookup.find('www.acme.example'), 'acme')
  t.strictSame(new Set(await Promise.all(flood)), new Set([null]))
  t.ok(queries() - before <= 100, `${queries() - before} queries for 1,001 hosts`)
})

t.test('10,000 cold tenants at once cause few queries, and those without a place are refused at once', async t => {
  const { source, queries } = await countedSource(t)
  await database.query(`insert into ${source.table} (id, hosts) select 'tenant-' || n, array['tenant-' || n || '.example'] from generate_series(1, 10000) n`)
  const boot = new BootContext()
  const lookup = new HostLookup({ resolveHost: host => source.resolveHost(host), timeout: 60_000, log })
  const definitions = new Definitions({ source, loadTimeout: 60_000 }, new Refusals(0, new LoadContext(boot)), log)
  const lookups = new Lookups(definitions, { loadTimeout: 60_000, maxWaiting: 1_000 }, boot)
  const cases: Array<[what: string, find: (index: number) => unknown]> = [
    ['id', async index => (await lookups.find(`tenant-${index}`)).id],
    ['host', async index => lookup.find(`tenant-${index}.example`)]
  ]
  for (const [what, find] of cases) {
    const before = queries()
    const answers = await Promise.allSettled(Array.from({ length: 10_000 }, (_, index) => find(index + 1)))
    const found = answers.filter(({ status }) => status === 'fulfilled')
    t.ok(found.length >= 1_000, `${found.length} answers by ${what}`)
    t.ok(answers.every((answer, index) => answer.status === 'rejected' || answer.value === `tenant-${index + 1}`))
    const asked = queries() - before
    t.ok(asked <= 50, `${asked} queries by ${what}`)
  }
})

t.test('the app refuses hosts that it cannot look up, with Retry-After', async t => {
  const { source } = await countedSource(t)
  await database.query(`insert into ${source.table} (id, hosts) values ('acme', '{acme.example}')`)
  const app = appWith(t, source, { identify: 'host', required: true })
  app.get('/', async request => request.tenantId)
  const ask = (host: string) => app.inject({ url: '/', headers: { host } })
  t.equal((await ask('acme.example')).body, 'acme')
  const flood = Array.from({ length: 1_500 }, (_, index) => ask(`made-up-${index}.example`))
  const hostile = ['a'.repeat(8_192), 'a.'.repeat(300) + 'example', 'a.'.repeat(126) + 'b', '__proto__', 'a\xad.example'].map(ask)
  t.equal((await ask('acme.example')).body, 'acme')
  const answers = await Promise.all(flood)
  const refused = answers.filter(({ statusCode }) => statusCode === 503)
  t.equal(refused.length, 450, 'those for which there is no room')
  t.ok(refused.every(({ headers }) => headers['retry-after'] === '1'))
  t.ok(answers.every(answer => [400, 503].includes(answer.statusCode)))
  t.strictSame((await Promise.all(hostile)).map(({ statusCode }) => statusCode).slice(0, 2), [400, 400])
  t.equal((await ask('made-up-1499.example')).statusCode, 400, 'there is room again')
})

t.test('hosts that are looked up together cause one query', async t => {
  const gate = latch<ReadonlyMap<string, string>>()
  const asked: Array<readonly string[]> = []
  const batches = new HostBatches(async patterns => {
    asked.push(patterns)
    return gate.promise
  })
  const early = ['acme.example', 'www.acme.example', 'acme.example'].map(host => batches.find(host))
  await until(() => asked.length === 1)
  t.strictSame(asked[0], ['acme.example', '*.example', 'www.acme.example', '*.acme.example'])
  const second = batches.find('globex.example')
  await until(() => asked.length === 2)
  const late = Array.from({ length: 3_000 }, (_, index) => batches.find(`${index}.example`))
  await turn()
  t.equal(asked.length, 2, 'no more than two at a time')
  gate.resolve(new Map([['acme.example', 'acme'], ['*.acme.example', 'globex']]))
  t.strictSame(await Promise.all([...early, second]), ['acme', 'globex', 'acme', null])
  await Promise.all(late)
  t.equal(asked.length, 6, 'no query is without bounds')
})

t.test('a host that the table cannot hold does not break the query', async t => {
  const { source } = await countedSource(t)
  await database.query(`insert into ${source.table} (id, hosts) values ('acme', '{acme.example}')`)
  const hosts = ['a\0.example', 'acme.example', '\ud800', 'ä.example', '', 'a'.repeat(8_192), '.'.repeat(253)]
  t.strictSame(await Promise.all(hosts.map(host => source.resolveHost(host))), [null, 'acme', null, null, null, null, null])
})

t.test('a role that may only connect to the database changes nothing by messages', async t => {
  const { source, schema, queries } = await countedSource(t)
  const events = new Events(t)
  const lines = new LogLines()
  const app = appWith(t, source, {}, lines.server)
  await app.ready()
  await database.query(`insert into ${source.table} (id) values ('acme'), ('globex')`)
  for (const id of ['acme', 'globex']) await app.multitenant.init(id)

  const role = `stranger_${schema}`
  await database.query(`create role ${role} login password 'test'`)
  t.teardown(() => database.query(`drop role ${role}`))
  const url = new URL(database.connectionString)
  Object.assign(url, { username: role, password: 'test' })
  const stranger = new pg.Client(url.href)
  await stranger.connect()
  t.teardown(() => stranger.end())
  await t.rejects(stranger.query(`select * from ${source.table}`), { code: '42501' }, 'the control: it may not even read')
  const { channel } = new Names(schema, undefined)
  const before = queries()
  for (let round = 0; round < 200; round++) {
    for (const message of [{ id: 'acme', version: String(round), active: true }, { id: 'globex', active: false, hosts: null }, { id: `made-up-${round}`, version: '1' }]) {
      await stranger.query('select pg_notify($1, $2)', [channel, JSON.stringify(message)])
    }
  }
  await stranger.query('select pg_notify($1, $2)', [channel, 'the last'])
  await lines.next('ignored messages on the tenant channel that the table did not send')
  t.strictSame(events.names, ['load acme 1', 'load globex 1'])
  t.equal(queries(), before, 'nor is the pool asked')

  const reloaded = events.next('reload')
  await database.query(`update ${source.table} set name = 'Acme' where id = 'acme'`)
  t.match(await reloaded, { id: 'acme' }, 'the control: a change of the table is followed')
  t.ok(app.multitenant.get('globex'))
})
