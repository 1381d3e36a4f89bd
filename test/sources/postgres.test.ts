import { join, resolve } from 'node:path'
import pg from 'pg'
import t from 'tap'
import { postgresTenants } from '../../lib/sources/postgres/postgres.ts'
import { appWith } from '../fixtures/lifecycle/app.ts'
import { ids } from '../fixtures/test-source.ts'
import { WRONG_OPTION, connectionString, database, log, makeSource } from '../fixtures/postgres/nodes.ts'

t.test('invalid options are refused, by name', async t => {
  const wrong = (options: object, name: string): void => {
    t.throws(() => postgresTenants(options), { ...WRONG_OPTION, message: new RegExp(`'${name}'`) })
  }
  wrong({}, 'connectionString')
  wrong({ connectionString: '' }, 'connectionString')
  wrong({ connectionString, pool: {} }, 'pool')
  wrong({ pool: null }, 'pool')
  wrong({ connectionString, schema: '' }, 'schema')
  wrong({ connectionString, schema: 'é'.repeat(32) }, 'schema')
  wrong({ connectionString, schema: 'a\0' }, 'schema')
  wrong({ connectionString, namespace: 'a'.repeat(41) }, 'namespace')
  wrong({ connectionString, root: '' }, 'root')
  wrong({ connectionString, templates: './templates' }, 'templates')
  wrong({ connectionString, tables: 'tenants' }, 'tables')
})

t.test('migrate()', async t => {
  t.test('may be called several times, and concurrently', async t => {
    const schema = database.newSchema()
    const sources = Array.from({ length: 8 }, () => postgresTenants({ connectionString, schema }))
    t.teardown(() => Promise.all(sources.map(source => source.close())))
    await Promise.all(sources.map(source => source.migrate()))
    await database.query(`insert into ${schema}.tenants (id) values ('acme')`)
    await sources[0]?.migrate()
    t.same(await ids(sources[1]!), ['acme'], 'and keeps what is there')
  })

  t.test('upgrades the table of an older version, and does not change that of a newer one', async t => {
    const source = await makeSource(t)
    const functionName = source.table.replace('tenants', 'announce_tenant')
    await database.query(`insert into ${source.table} (id) values ('acme')`)
    const migratedOver = async (note: string): Promise<boolean> => {
      await database.query(`comment on table ${source.table} is '${note}'; create or replace function ${functionName} () returns trigger language plpgsql as 'begin return null; end'`)
      await source.migrate()
      const [made] = await database.query<{ length: number }>(`select length(prosrc) from pg_proc where oid = '${functionName}'::regproc`)
      return made!.length > 100
    }
    t.equal(await migratedOver('fastify-multitenant 999'), false)
    for (const note of ['fastify-multitenant 0', '', 'of somebody else']) t.equal(await migratedOver(note), true, note)
    t.same(await ids(source), ['acme'])
  })

  t.test('lets a row of a version 1 table have both dir and template', async t => {
    const schema = database.newSchema()
    const source = postgresTenants({ connectionString, schema })
    t.teardown(() => source.close())
    await database.query(`
      create schema ${schema};
      create table ${source.table} (
        id text collate "C" primary key check (length(id) between 1 and 255),
        name text,
        hosts text[] not null default '{}' check (coalesce(array_ndims(hosts), 1) = 1),
        active boolean not null default true,
        config jsonb not null default '{}' check (jsonb_typeof(config) = 'object'),
        dir text,
        template text,
        version bigint not null default 0,
        check (dir is null or template is null)
      );
      comment on table ${source.table} is 'fastify-multitenant 1';
      insert into ${source.table} (id, template) values ('acme', 'standard')`)
    const graft = (): Promise<unknown> => database.query(`update ${source.table} set dir = 'acme'`)
    await t.rejects(graft(), { code: '23514' }, 'the control: before the migration')
    await source.migrate()
    await graft()
    t.match(await source.get('acme'), { template: 'standard', dir: resolve('tenants/acme'), version: '1' })
    await t.rejects(database.query(`update ${source.table} set config = '[]'`), { code: '23514' }, 'the other checks stay')
  })

  t.test('accepts any names', async t => {
    for (const [schema, namespace] of [['Test "quoted"; drop', 'it\'s "mine".x'], ['s'.repeat(63), 'n'.repeat(40)], ['é$$\\', undefined]] as const) {
      const own = schema.slice(0, 63 - 20) + database.newSchema().slice(-12)
      t.teardown(() => database.query(`drop schema ${pg.escapeIdentifier(own)} cascade`))
      const source = await makeSource(t, { schema: own, ...(namespace !== undefined && { namespace }) })
      await source.open({ log })
      const changed = new Promise(resolve => source.watch(resolve, () => []))
      await database.query(`insert into ${source.table} (id, hosts) values ('acme', '{acme.example}')`)
      t.match(await changed, { id: 'acme', active: true }, source.table)
      t.equal(await source.resolveHost('acme.example'), 'acme')
    }
  })

  t.test('needs no right to create schemas if the schema exists', async t => {
    const schema = database.newSchema()
    const role = `role_of_${schema}`
    await database.query(`create role ${role}; create schema ${schema} authorization ${role}`)
    t.teardown(() => database.query(`drop owned by ${role} cascade; drop role ${role}`))
    const pool = new pg.Pool({ connectionString, options: `-c role=${role}` })
    t.teardown(() => pool.end())
    await t.resolves(postgresTenants({ pool, schema }).migrate())
  })

  t.test('must be called before the app boots', async t => {
    const source = postgresTenants({ connectionString, schema: database.newSchema() })
    await t.rejects(async () => { await appWith(t, source).ready() }, { code: 'FST_TENANT_TABLE_MISSING', message: `The table ${source.table} does not exist: call migrate() first` })
  })
})

t.test('a row', async t => {
  const root = t.testdir({ acme: {} })
  const source = await makeSource(t, { root })
  const insert = (columns: string, values: string): Promise<unknown> => database.query(`insert into ${source.table} (${columns}) values (${values})`)

  await insert('id', "'bare'")
  t.match(await source.get('bare'), { id: 'bare', config: {}, hosts: [], version: /^\d+$/ })
  for (const key of ['name', 'dir', 'template']) t.notOk(Object.hasOwn(await source.get('bare') ?? {}, key), key)
  await insert('id, name, hosts, config, dir', "'acme', 'Acme Inc.', '{acme.example, *.acme.example}', '{\"plan\":\"pro\"}', 'acme'")
  t.match(await source.get('acme'), { id: 'acme', name: 'Acme Inc.', hosts: ['acme.example', '*.acme.example'], config: { plan: 'pro' }, dir: join(root, 'acme') })
  await insert('id, template', "'globex', 'standard'")
  t.match(await source.get('globex'), { template: 'standard' })
  t.notOk(Object.hasOwn(await source.get('globex') ?? {}, 'dir'))
  await insert('id, dir, template', "'initech', 'acme', 'standard'")
  t.match(await source.get('initech'), { dir: join(root, 'acme'), template: 'standard' }, 'code of its own on top of a template')
  await insert('id, template', "'odd', '../acme'")
  t.match(await source.get('odd'), { template: '../acme' }, 'the plugin checks the name when it loads the tenant')
  await insert('id, active, dir', "'gone', false, '/nowhere'")
  t.strictSame(await source.get('gone').then(definition => definition?.suspended), true)

  for (const path of ['/etc', '..', '.', '', '../elsewhere', 'acme/../..', root]) {
    await insert('id, dir', `'wrong', '${path}'`)
    const error = await source.get('wrong').then(() => null, (error: Error) => error)
    t.match(error, { code: 'FST_TENANT_ROW_INVALID', message: /'wrong'.*dir must be/ }, path)
    t.notMatch(error?.message, root)
    await database.query(`delete from ${source.table} where id = 'wrong'`)
  }
  await t.rejects(insert('id, config', "'list', '[]'"), { code: '23514' })
  await t.rejects(insert('id, hosts', "'shouts', '{ACME.example}'"), { code: '23514' }, 'a host that no request could have')
  await t.rejects(insert('id, hosts', "'nobody', '{null}'"), { code: '23502' })
  await t.rejects(insert('id, hosts', "'table', '{{a.example},{b.example}}'"), { code: '23514' }, 'hosts are a list')
  await t.rejects(insert('id, hosts', "'thief', '{acme.example}'"), { code: '23505' }, 'a host belongs to one tenant')
  t.equal(await source.get('\ud800'), null)
})

t.test('a version is never used twice, and every change has one', async t => {
  const source = await makeSource(t)
  const versions = new Set<string | undefined>()
  for (const sql of ["insert into tenants (id) values ('acme')", "update tenants set name = 'a'", "update tenants set name = 'b', version = 1", 'delete from tenants', "insert into tenants (id) values ('acme')"]) {
    await database.query(sql.replace('tenants', source.table))
    versions.add((await source.get('acme'))?.version)
  }
  t.equal(versions.size, 5, 'four versions and none')
  const { version } = await source.get('acme') ?? {}
  await database.query(`update ${source.table} set name = name`)
  t.equal((await source.get('acme'))?.version, version)
})

t.test('many rows are listed by pages, and counted without reading them', async t => {
  const source = await makeSource(t)
  await database.query(`insert into ${source.table} (id) select 'tenant-' || n from generate_series(1, 2500) n`)
  const listed = await ids(source)
  t.same([listed.length, new Set(listed).size], [2500, 2500])
  t.equal(await source.count(), 2500)
  await database.query(`insert into ${source.table} (id) select 'more-' || n from generate_series(1, 10000) n`)
  await database.query(`analyze ${source.table}`)
  t.equal(await source.count(), 12_500, 'what PostgreSQL estimates')
})
