import pg from 'pg'
import t, { type Test } from 'tap'
import { Comparison } from '../../lib/sources/postgres/comparison.ts'
import { queryOf } from '../../lib/sources/postgres/connections.ts'
import { Names } from '../../lib/sources/postgres/names.ts'
import { TenantTable } from '../../lib/sources/postgres/table.ts'
import { turn } from '../fixtures/lifecycle/app.ts'
import { connectionString, database, makeSource } from '../fixtures/postgres/nodes.ts'
import type { PostgresPool, Query } from '../../lib/sources/postgres/connections.ts'
import type { LoadedTenant, TenantChange } from '../../types/index.ts'

/** The number of rows. With more than 1,000 tenants in memory, the sums of versions count. */
const ROWS = 5_000

interface Compared {
  /** The name of the table. */
  table: string
  /** The tenants in memory: each starts with the version in the table. */
  loaded: LoadedTenant[]
  /** The ids of each query about tenants since the last comparison. */
  pages: string[][]
  /** Called when the sums have been read. */
  afterSums: () => Promise<unknown>
  /** Compares, and returns the changes that it announces. */
  compare (): Promise<TenantChange[]>
  /** Gives the tenants in memory the state that was announced, as their reloads would. */
  apply (changes: readonly TenantChange[]): void
}

async function setUp (t: Test, rows = ROWS): Promise<Compared> {
  const schema = database.newSchema()
  const { table } = await makeSource(t, { schema })
  await database.query(`insert into ${table} (id) select 't' || n from generate_series(1, ${rows}) n`)
  const client = new pg.Client(connectionString)
  await client.connect()
  t.teardown(() => client.end())
  const query: Query = async (text, values = []) => {
    const rows = queryOf(client as Pick<PostgresPool, 'query'>)(text, values)
    if (values.length > 0) compared.pages.push(values[0] as string[])
    else await rows.then(compared.afterSums)
    return rows as Promise<never>
  }
  let told: TenantChange[] = []
  const comparison = new Comparison({
    table: new TenantTable(new Names(schema, undefined), query, '/'),
    loaded: () => compared.loaded.map(tenant => ({ ...tenant })),
    announce: change => { told.push(change) }
  })
  const compared: Compared = {
    table,
    loaded: await database.query<{ id: string, version: string }>(`select id, version::text from ${table}`),
    pages: [],
    afterSums: async () => {},
    async compare () {
      told = []
      compared.pages = []
      await comparison.run(query)
      return told
    },
    apply (changes) {
      const states = new Map(changes.map(change => [change.id, change]))
      compared.loaded = compared.loaded.flatMap(({ id, version }) => {
        const change = states.get(id)
        return change?.active === false ? [] : [{ id, version: change?.version ?? version }]
      })
    }
  }
  return compared
}

const idsOf = (changes: readonly TenantChange[]): string[] => changes.map(({ id }) => id).sort()

t.test('while nothing changes, no tenant is asked about again', async t => {
  const compared = await setUp(t)
  t.same(await compared.compare(), [])
  t.same(compared.pages.map(ids => ids.length), [1_000, 1_000, 1_000, 1_000, 1_000], 'the control: at first, all are asked about')
  t.same(await compared.compare(), [])
  t.same(compared.pages, [])
})

t.test('does not remember the versions of ever more tenants that have left memory', async t => {
  const compared = await setUp(t)
  const all = compared.loaded
  const askedWith = async (from: number, to: number): Promise<number> => {
    compared.loaded = all.slice(from, to)
    t.same(await compared.compare(), [])
    return compared.pages.flat().length
  }
  t.same([await askedWith(0, 1_500), await askedWith(1_500, 3_000), await askedWith(0, 1_500)], [1_500, 1_500, 0])
  t.same([await askedWith(3_000, 4_500), await askedWith(0, 1_500)], [1_500, 1_500], 'the first were forgotten')
})

t.test('few tenants are asked about at once, and so is none', async t => {
  const compared = await setUp(t, 1_000)
  for (const count of [1_000, 0]) {
    compared.loaded = compared.loaded.slice(0, count)
    for (let round = 0; round < 2; round++) {
      t.same(await compared.compare(), [])
      t.same(compared.pages.map(ids => ids.length), [count])
    }
  }
})

t.test('finds every kind of change, and asks about few other tenants', async t => {
  const quietly = (sql: string): string => `set session_replication_role = replica; ${sql}`
  const changes: Array<[title: string, sql: string, ids: string[]]> = [
    ['an update', "update $ set config = '{\"plan\": \"pro\"}' where id in ('t1', 't4999')", ['t1', 't4999']],
    ['a suspension', "update $ set active = false where id = 't2'", ['t2']],
    ['a deletion', "delete from $ where id = 't3'", ['t3']],
    ['a deletion and an insert', "delete from $ where id = 't5'; insert into $ (id) values ('new')", ['t5']],
    ['a tenant that is deleted and created again', "delete from $ where id = 't6'; insert into $ (id) values ('t6')", ['t6']],
    ['a new id', "update $ set id = 'renamed' where id = 't7'", ['t7']],
    ['a write without triggers', quietly("update $ set version = version + 100000 where id = 't8'; delete from $ where id = 't9'"), ['t8', 't9']],
    ['an insert', "insert into $ (id) values ('newer')", []]
  ]
  const compared = await setUp(t)
  await compared.compare()
  for (const [title, sql, ids] of changes) {
    await database.query(sql.replaceAll('$', compared.table))
    const told = await compared.compare()
    t.same(idsOf(told), ids, title)
    const asked = compared.pages.flat().length
    t.ok(asked < 100, `${asked} are asked about after ${title}`)
    compared.apply(told)
    t.same(await compared.compare(), [], `nothing is left of ${title}`)
  }
  await database.query(`truncate ${compared.table} cascade`)
  const told = await compared.compare()
  t.equal(told.length, compared.loaded.length, 'a truncate')
  t.ok(told.every(({ active }) => active === false))
})

t.test('a tenant that keeps its old version is announced each time', async t => {
  const compared = await setUp(t)
  await compared.compare()
  await database.query(`update ${compared.table} set name = 'new' where id = 't1'`)
  for (let round = 0; round < 3; round++) t.match(await compared.compare(), [{ id: 't1', active: true }])
})

t.test('a tenant whose version is not known is announced each time', async t => {
  const compared = await setUp(t)
  compared.loaded[0] = { id: 't1', version: undefined }
  for (let round = 0; round < 2; round++) t.same(idsOf(await compared.compare()), ['t1'])
})

t.test('rows of a transaction that took low versions and commits late do not hide that others were deleted', async t => {
  const compared = await setUp(t)
  const late = new pg.Client(connectionString)
  await late.connect()
  t.teardown(() => late.end())
  const add = (id: string): string => `insert into ${compared.table} (id) values ('${id}')`
  await late.query('begin')
  await late.query(add('late-1'))
  await database.query(`${add('gone-1')}; ${add('gone-2')}`)
  await late.query(add('late-2'))
  const count = async (): Promise<unknown> => database.query(`select count(*), sum(version) from ${compared.table}`)
  compared.loaded.push(...await database.query<{ id: string, version: string }>(`select id, version::text from ${compared.table} where id like 'gone%'`))
  const before = await count()
  t.same(await compared.compare(), [])
  await late.query('commit')
  await database.query(`delete from ${compared.table} where id like 'gone%'`)
  t.same(await count(), before, 'the control: count and sum of the versions are the same')
  t.same(idsOf(await compared.compare()), ['gone-1', 'gone-2'])
})

t.test('a tenant that was loaded with an outdated version after a comparison is found', async t => {
  const compared = await setUp(t)
  const outdated = compared.loaded.splice(0, 1)
  await database.query(`update ${compared.table} set name = 'new' where id = 't1'`)
  t.same(await compared.compare(), [], 'it is still being loaded')
  compared.loaded.push(...outdated)
  t.same(idsOf(await compared.compare()), ['t1'])
})

t.test('a version that comes after the sums are read, and goes again, is not taken for current', async t => {
  const compared = await setUp(t)
  await compared.compare()
  const update = async (name: string): Promise<void> => { await database.query(`update ${compared.table} set name = '${name}' where id = 't1'`) }
  compared.afterSums = async () => {
    compared.afterSums = async () => {}
    await update('new')
    compared.loaded = await database.query<{ id: string, version: string }>(`select id, version::text from ${compared.table}`)
  }
  t.same(await compared.compare(), [], 'when the sums were read, the tenant had the version before')
  await update('newer')
  t.same(idsOf(await compared.compare()), ['t1'])
})

t.test('leaves turns to other work', async t => {
  const loaded = Array.from({ length: 100_000 }, (_, n) => ({ id: `t${n}`, version: `${n}` }))
  const noQuery: Query = async () => []
  let longest = 0
  let sinceTurn = 0
  const comparison = new Comparison({
    table: {
      versionSums: async () => new Map(),
      changes: async (_query, ids) => {
        await turn(1)
        sinceTurn = 0
        return ids.map(id => ({ id, version: 'new', active: true }))
      }
    },
    loaded: () => loaded,
    announce: () => { longest = Math.max(longest, ++sinceTurn) }
  })
  await comparison.run(noQuery)
  t.equal(longest, 1_000, 'announcements without a turn in between')
})
