import { mock } from 'node:test'
import t, { type Test } from 'tap'
import { Notices } from '../../lib/sources/postgres/notices.ts'
import { Door, turn } from '../fixtures/lifecycle/app.ts'
import type { Query } from '../../lib/sources/postgres/connections.ts'
import type { TenantChange } from '../../types/index.ts'

const noQuery: Query = async () => []

/** Notices about a table in memory: the versions of its tenants by id. */
function setUp (t: Test, table: Record<string, string> = {}) {
  const checks: string[][] = []
  const told: TenantChange[] = []
  const strange: number[] = []
  const control: { before?: () => Promise<void>, connected: boolean } = { connected: true }
  let anyTold = 0
  const notices = new Notices({
    ask: async work => { if (control.connected) await work(noQuery).catch(() => {}) },
    states: async (_query, ids) => {
      checks.push([...ids])
      const states = ids.map(id => {
        const version = table[id]
        return version === undefined ? { id, active: false } : { id, version, active: true }
      })
      await control.before?.()
      return states
    },
    announce: change => told.push(change),
    announceAny: async () => { anyTold++ },
    onForeign: count => strange.push(count)
  })
  t.teardown(() => notices.close())
  const add = (message: object): void => notices.add(JSON.stringify(message))
  return { notices, add, table, checks, told, strange, control, anyTold: () => anyTold }
}

/** Advances the clock, and lets the consequences happen. */
async function pass (ms = 250): Promise<void> {
  mock.timers.tick(ms)
  await turn()
}

t.beforeEach(() => {
  mock.timers.reset()
  mock.timers.enable({ apis: ['setTimeout'] })
})
t.afterEach(() => mock.timers.reset())

t.test('a message that agrees with the table is passed on, with its hosts', async t => {
  const { add, told } = setUp(t, { acme: '1' })
  add({ id: 'acme', version: '1', active: true, hosts: ['acme.example'] })
  await pass(1)
  t.strictSame(told, [{ id: 'acme', version: '1', active: true, hosts: ['acme.example'] }])
})

t.test('a forged message', async t => {
  t.test('changes nothing, and causes one query in a while', async t => {
    const { add, told, checks } = setUp(t, { acme: '1' })
    add({ id: 'acme', version: '1', active: true, hosts: [] })
    await pass(1)
    for (let round = 0; round < 10; round++) {
      for (let message = 0; message < 500; message++) add({ id: 'acme', version: `${round}${message}`, active: false, hosts: null })
      await pass()
    }
    t.equal(told.length, 1)
    t.ok(checks.length <= 11, `${checks.length} queries`)
    t.ok(checks.every(ids => ids.length === 1))
  })

  t.test('about an unknown tenant does not say whose hosts change', async t => {
    const { add, told } = setUp(t)
    add({ id: 'made-up', active: false, hosts: null })
    await pass(1)
    t.strictSame(told, [{ id: 'made-up', version: undefined, active: false }])
  })

  t.test("about a version that the table does not have passes on the table's version", async t => {
    const { add, told } = setUp(t, { acme: '7' })
    add({ id: 'acme', version: '8', active: false, hosts: ['acme.example'] })
    await pass(1)
    t.strictSame(told, [{ id: 'acme', version: '7', active: true }])
  })

  t.test('about more tenants than fit into one query hides no change', async t => {
    const { add, checks, told, anyTold } = setUp(t, { acme: '1' })
    for (let index = 0; index < 5_000; index++) add({ id: `made-up-${index}`, version: '1' })
    add({ id: 'acme', version: '1' })
    await pass(1)
    t.strictSame(checks.map(ids => ids.length), [1_000])
    t.equal(anyTold(), 1, 'any tenant may have changed')
    t.equal(told.length, 1_000)
    await pass()
    t.equal(checks.length, 1, 'and none is left to be checked')
  })
})

t.test('messages about one tenant at the same time are passed on as one, with all hosts', async t => {
  const HOSTS = Array.from({ length: 600 }, (_, index) => `${index}.example`)
  const cases: Array<[first: unknown, second: unknown, told: unknown]> = [
    [['a.example'], ['a.example', 'b.example'], ['a.example', 'b.example']],
    [['a.example'], undefined, undefined],
    [undefined, ['a.example'], undefined],
    [null, ['a.example'], null],
    [['a.example'], null, null],
    [HOSTS, HOSTS.map(host => `x${host}`), null]
  ]
  for (const [first, second, expected] of cases) {
    const { add, told } = setUp(t, { acme: '2' })
    add({ id: 'acme', version: '1', hosts: first })
    add({ id: 'acme', version: '2', hosts: second })
    await pass(1)
    t.strictSame(told.map(({ hosts }) => hosts), [expected])
  }
})

t.test('a deleted tenant is reported with its hosts, and again when it is added', async t => {
  const { add, told, table } = setUp(t, { acme: '1' })
  add({ id: 'acme', version: '1', hosts: ['acme.example'] })
  await pass(1)
  delete table['acme']
  add({ id: 'acme', active: false, hosts: ['acme.example'] })
  await pass()
  table['acme'] = '2'
  add({ id: 'acme', version: '2', hosts: ['acme.example'] })
  await pass()
  t.strictSame(told.map(({ version, active, hosts }) => [version, active, hosts]), [['1', true, ['acme.example']], [undefined, false, ['acme.example']], ['2', true, ['acme.example']]])
})

t.test('a change that is announced during a query is not lost', async t => {
  const { add, told, table, control } = setUp(t, { acme: '1' })
  const door = new Door()
  control.before = () => door.pass()
  add({ id: 'acme', version: '1', hosts: ['a.example'] })
  await pass(1)
  table['acme'] = '2'
  add({ id: 'acme', version: '2', hosts: ['b.example'] })
  door.open()
  await turn()
  await pass()
  t.strictSame(told.map(({ version }) => version), ['1', '2'])
  t.strictSame(told[1]?.hosts, ['a.example', 'b.example'])
})

t.test('a query that fails is tried again later', async t => {
  const { add, told, control } = setUp(t, { acme: '1' })
  control.connected = false
  add({ id: 'acme', version: '1' })
  await pass(1)
  control.connected = true
  control.before = async () => { throw new Error('lost') }
  await pass()
  await pass(1)
  t.strictSame(told, [])
  delete control.before
  await pass()
  await pass(1)
  t.equal(told.length, 1)
})

t.test('messages that do not come from the table are counted', async t => {
  const { notices, strange, checks } = setUp(t)
  for (const payload of ['', 'null', '5', '{}', '{"id":5}', '{"id":"a\\u0000"}', JSON.stringify({ id: 'a'.repeat(600) }), '{"id":"a","hosts":"b"}', '{"id":"a","hosts":[1]}']) notices.add(payload)
  await pass(1)
  t.strictSame([strange, checks], [[9], []])
})

t.test('it queries nothing after it is closed', async t => {
  const { notices, add, checks, control } = setUp(t, { acme: '1' })
  const door = new Door()
  control.before = () => door.pass()
  add({ id: 'acme', version: '1' })
  await pass(1)
  notices.close()
  door.open()
  await turn()
  add({ id: 'acme', version: '2' })
  await pass()
  t.equal(checks.length, 1)
})
