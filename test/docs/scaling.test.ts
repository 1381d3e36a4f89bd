import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import postgres from '@fastify/postgres'
import Fastify from 'fastify'
import pg from 'pg'
import t, { type Test } from 'tap'
import multitenant from '../../index.ts'
import { postgresTenants } from '../../lib/sources/postgres/postgres.ts'
import { send, until } from '../fixtures/lifecycle/app.ts'
import { openDatabase } from '../fixtures/postgres/database.ts'
import { openMarkdown, ROOT } from '../fixtures/readme/markdown.ts'
import { run } from '../fixtures/readme/run.ts'
import type { FastifyInstance } from 'fastify'
import type { Block } from '../fixtures/readme/markdown.ts'

const { sectionOf, codeOf, untested } = openMarkdown('docs/scaling.md')
const database = await openDatabase(t)

function names (rows: string[][] = []): string[] {
  return rows.flatMap(([cell = '']) => [...cell.matchAll(/`(\w+)/g)].map(([, name]) => name as string))
}

t.test('A table of tenants', async t => {
  const [options, columns] = sectionOf('A table of tenants').tables
  const schema = database.newSchema()
  const dir = t.testdir()
  const code = codeOf('A table of tenants', 'js')
    .replace('process.env.DATABASE_URL', `${JSON.stringify(database.connectionString)}, schema: '${schema}'`)
    .replace('logger: true', '')
    .replace('{ tenants }', '{ tenants, templates: { standard: {} } }')
  await writeFile(join(dir, 'app.js'), `${code}\nexport { app }\n`)
  const { app } = await import(pathToFileURL(join(dir, 'app.js')).href) as { app: FastifyInstance }
  t.teardown(() => app.close())
  await app.ready()

  const message = await Promise.resolve().then(() => postgresTenants({ wrong: 1 } as object)).catch(({ message }: Error) => message)
  t.strictSame(names(options), String(message).replace(/.* are /, '').split(', '))
  const there = await database.query<{ name: string }>('select column_name as name from information_schema.columns where table_schema = $1 and table_name = $2', [schema, 'tenants'])
  t.strictSame(names(columns).sort(), there.map(({ name }) => name).sort())

  const [insert = '', update = '', suspend = '', remove = ''] = codeOf('A table of tenants', 'sql').replaceAll('multitenant.', `${schema}.`).trim().split('\n')
  const plan = (): unknown => Reflect.get(app.multitenant.get('acme')?.config ?? {}, 'plan')
  const code403 = (): Promise<unknown> => app.multitenant.init('acme').then(() => null, ({ code }: { code: string }) => code)
  await database.query(insert)
  await app.multitenant.init('acme')
  t.equal(plan(), 'pro')
  await database.query(update)
  await until(() => plan() === 'free', Infinity)
  await database.query(suspend)
  await until(() => app.multitenant.get('acme') === null, Infinity)
  t.equal(await code403(), 'FST_TENANT_SUSPENDED')
  await database.query(remove)
  await until(async () => await code403() === 'FST_TENANT_NOT_FOUND', Infinity)
})

t.test('Rights', async t => {
  const schema = database.newSchema()
  const [app, admin] = [`app_of_${schema}`, `admin_of_${schema}`]
  const as = (role: string): { connectionString: string, options: string } => ({ connectionString: database.connectionString, options: `-c role=${role}` })
  const write = async (role: string): Promise<unknown> => {
    const client = new pg.Client(as(role))
    await client.connect()
    try {
      for (const sql of ["insert into $.tenants (id, hosts) values ('acme', '{acme.example}')", "update $.tenants set hosts = '{www.acme.example}'", 'delete from $.tenants', "insert into $.tenants (id) values ('globex')"]) {
        await client.query(sql.replace('$', schema))
      }
    } finally {
      await client.end()
    }
    return 'written'
  }
  const owner = postgresTenants({ connectionString: database.connectionString, schema })
  await owner.migrate()
  await owner.close()
  await database.query(`create role ${app}; create role ${admin}`)
  t.teardown(() => database.query(`drop owned by ${app}, ${admin}; drop role ${app}, ${admin}`))
  await t.rejects(write(admin), { code: '42501' }, 'the control: without rights')
  await database.query(codeOf('Rights', 'sql').replaceAll('multitenant', schema).replaceAll('to app', `to ${app}`).replaceAll('to admin', `to ${admin}`))
  t.equal(await write(admin), 'written')
  await t.rejects(write(app), { code: '42501' })

  const pool = new pg.Pool(as(app))
  t.teardown(() => pool.end())
  const source = postgresTenants({ pool, schema })
  await source.migrate()
  const server = Fastify()
  t.teardown(() => server.close())
  server.register(multitenant, { tenants: source, identify: 'host' })
  await server.ready()
  t.equal((await server.multitenant.init('globex')).id, 'globex')
  t.equal(await source.resolveHost('acme.example'), null)
})

t.test('Routing', async t => {
  codeOf('Routing', 'nginx')
  const { measure } = await import(pathToFileURL(join(ROOT, 'bench/routing.js')).href) as { measure (options: object): Promise<Array<{ value: number, unit: string }>> }
  const figures = (await measure({ quick: false })).filter(({ unit }) => unit !== 'MB').map(({ value }) => value)
  const [rows = []] = sectionOf('Routing').tables
  const told = [1, 2].flatMap(column => rows.map(row => Number(row[column]?.replace(/,/g, ''))))
  for (const [index, value] of told.entries()) t.ok(Math.abs(value / (figures[index] as number) - 1) < 0.02, `${value} is ${figures[index]}`)
  t.match(sectionOf('Routing').text, `${Math.round(figures.at(-1) as number)} % of the tenants move`)
})

t.test('Memory', async t => {
  const { figures } = JSON.parse(await readFile(join(ROOT, 'bench/results.json'), 'utf8')) as { figures: Array<{ bench: string, figure: string, tenants: number, value: number, unit: string }> }
  const [rows = []] = sectionOf('Memory').tables
  t.ok(rows.length > 3)
  for (const [name, loaded = '', told = ''] of rows) {
    const [, value = '', unit] = /^(\S+) (.+)$/.exec(told) ?? []
    const measured = figures.find(({ bench, figure, tenants, unit: own }) => bench === 'tenants' && figure === name && tenants === Number(loaded.replace(',', '')) && own === unit)
    t.equal(value, measured === undefined ? '–' : String(measured.value), `${name}, ${loaded}`)
  }
})

t.test('Deploys', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  app.register(multitenant, { tenants: {}, required: true })
  const [, path = ''] = /path: ([^,]+),/.exec(codeOf('Deploys', 'yaml')) ?? []
  const file = join(t.testdir({ 'ready.js': `export default app => { ${codeOf('Deploys', 'js')} }` }), 'ready.js')
  const { default: add } = await import(pathToFileURL(file).href) as { default (app: FastifyInstance): void }
  add(app)
  t.strictSame((await app.inject(path)).json(), { ready: true })
})

/** An id of the maximum length. */
const LONG = 'x'.repeat(63)

/** An app with the recipe's plugin in the tenants acme, globex and one with a long id, and one route that returns the rows of a query. */
async function withRecipe (t: Test, heading: string, query: string, configs: Record<string, object> = {}): Promise<FastifyInstance> {
  const dir = t.testdir()
  const [block] = sectionOf(heading).blocks.filter(({ language }) => language === 'js') as [Block]
  const code = codeOf(heading, 'js')
  for (const id of ['acme', 'globex', LONG]) {
    const file = join(dir, (block.path as string).replace('tenants/acme', id))
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, code)
    await mkdir(join(dir, id, 'routes'))
    await writeFile(join(dir, id, 'config.json'), JSON.stringify(configs[id] ?? {}))
    await writeFile(join(dir, id, 'routes/root.js'), `export default async app => app.get('/', async () => (await app.db.query(${query})).rows)`)
  }
  const app = Fastify()
  t.teardown(() => app.close())
  app.register(multitenant, { tenants: dir })
  return app
}

t.test('A database per tenant', async t => {
  const configs: Record<string, { database: string }> = {}
  for (const id of ['acme', 'globex']) {
    const name = `${database.newSchema()}_${id}`
    await database.query(`create database ${name}`)
    t.teardown(() => database.query(`drop database ${name}`))
    configs[id] = { database: Object.assign(new URL(database.connectionString), { pathname: name }).href }
  }
  const app = await withRecipe(t, 'A database per tenant', "'select current_database() as name'", configs)
  for (const id of ['acme', 'globex']) t.match((await send(app, id)).json(), [{ name: new RegExp(`_${id}$`) }])
  await app.multitenant.unload('acme')
  const left = await database.query("select from pg_stat_activity where datname like '%_acme'")
  t.equal(left.length, 0, 'its connections end with the tenant')
})

t.test('A schema per tenant', async t => {
  for (const id of ['acme', 'globex']) {
    await database.query(`create schema tenant_${id}; create table tenant_${id}.notes (body text); insert into tenant_${id}.notes values ('of ${id}')`)
    t.teardown(() => database.query(`drop schema tenant_${id} cascade`))
  }
  // One connection for both tenants, as with a pooler in transaction mode.
  const app = await withRecipe(t, 'A schema per tenant', "'select body from ' + app.db.table('notes')")
  await app.register(postgres, { connectionString: database.connectionString, max: 1 })
  for (const id of ['acme', 'globex', 'acme']) t.strictSame((await send(app, id)).json(), [{ body: `of ${id}` }])
  await t.rejects(app.multitenant.init(LONG), { cause: { message: /The id is too long/ } }, 'whose schema another could have')

  await app.pg.query('set search_path = tenant_acme')
  t.strictSame((await app.pg.query('select body from notes')).rows, [{ body: 'of acme' }], 'the control: a search_path is met by whoever comes next')
  t.strictSame((await send(app, 'globex')).json(), [{ body: 'of globex' }], 'and the recipe does not mind it')
})

t.test('Row-level security', async t => {
  const schema = database.newSchema()
  const role = `role_of_${schema}`
  await database.query(`create role ${role}; create schema ${schema} authorization ${role}`)
  t.teardown(() => database.query(`drop owned by ${role} cascade; drop role ${role}`))
  const pool = { connectionString: database.connectionString, options: `-c role=${role} -c search_path=${schema}`, max: 1 }
  const owner = new pg.Client(pool)
  await owner.connect()
  await owner.query(codeOf('Row-level security', 'sql'))
  await owner.end()

  const app = await withRecipe(t, 'Row-level security', "'select * from notes'")
  await app.register(postgres, pool)
  await app.ready()
  await t.rejects(app.pg.query('select * from notes'), 'without a tenant')
  for (const id of ['acme', 'globex']) {
    const { app: own } = await app.multitenant.init(id)
    await (Reflect.get(own, 'db') as pg.Pool).query('insert into notes (body) values ($1)', [`of ${id}`])
  }
  for (const id of ['acme', 'globex', 'acme']) t.strictSame((await send(app, id)).json(), [{ tenant_id: id, body: `of ${id}` }])
  t.strictSame((await app.pg.query('select * from notes')).rows, [], 'nor after one')
  const acme = await app.multitenant.init('acme')
  await t.rejects((Reflect.get(acme.app, 'db') as pg.Pool).query("insert into notes values ('globex', 'forged')"), { code: '42501' })
  await app.pg.query("select set_config('app.tenant', 'globex', false)")
  t.strictSame((await app.pg.query('select body from notes')).rows, [{ body: 'of globex' }], 'the control: a setting of the session stays')
})

t.test('A source of your own', async t => {
  const heading = 'A source of your own'
  const [source, test] = sectionOf(heading).blocks as [Block, Block]
  codeOf(heading, 'js')
  const dir = t.testdir({ 'source.js': `export const db = new Map()\n${source.code}`, 'source.test.js': test.code })
  const printed = await run(dir, process.execPath, '--test', '--test-reporter=tap', 'source.test.js')
  t.match(printed, /^# pass [1-9]\d*$/m)
  t.match(printed, /^# fail 0$/m)
  const [rows = []] = sectionOf(heading).tables
  t.strictSame(rows.flatMap(([cell = '']) => [...cell.matchAll(/`(\w+)\(/g)].map(([, name]) => name)), ['get', 'list', 'getMany', 'resolveHost', 'count', 'watch', 'open', 'close'])
})

t.test('every code block is tested', async t => {
  t.strictSame(untested(), [])
})
