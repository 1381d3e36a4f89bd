import { mock } from 'node:test'
import t from 'tap'
import { HostLookup } from '../lib/sources/postgres/host-lookup.ts'
import { Door } from './fixtures/lifecycle/app.ts'

/** A look-up in a table that notes what it is asked. */
function lookIn (owners: Record<string, string>) {
  const asked: string[][] = []
  const control: { failure?: Error, before?: () => Promise<void> } = {}
  const lookup = new HostLookup(async hosts => {
    asked.push([...hosts])
    const found = new Map(Object.entries(owners).filter(([host]) => hosts.includes(host)))
    await control.before?.()
    if (control.failure !== undefined) throw control.failure
    return found
  })
  lookup.trust(true)
  return { asked, control, lookup, owners }
}

t.test('whose a host is, is asked once', async t => {
  const { lookup, asked } = lookIn({ 'acme.example': 'acme' })
  t.equal(await lookup.resolve('acme.example'), 'acme')
  t.equal(await lookup.resolve('nobody.example'), null)
  t.equal(lookup.resolve('acme.example'), 'acme', 'at once')
  t.equal(lookup.resolve('nobody.example'), null)
  t.same(asked, [['acme.example'], ['nobody.example']])
})

t.test('one query at a time is on its way, however many hosts are asked for', async t => {
  const { lookup, asked, control } = lookIn({ 'host-7.example': 'acme' })
  const door = new Door()
  control.before = () => door.pass()
  const answers = Array.from({ length: 950 }, (_, n) => lookup.resolve(`host-${n % 900}.example`))
  await door.reached
  t.equal(asked.length, 1)
  door.open()
  t.equal((await Promise.all(answers)).filter(id => id === 'acme').length, 2, 'those who ask for the same host share the answer')
  t.ok(asked.length <= 12, `${asked.length} queries`)
  t.ok(asked.every(hosts => hosts.length <= 100))
})

t.test('too many at once are refused, and none of them is remembered', async t => {
  const { lookup, control } = lookIn({})
  const door = new Door()
  control.before = () => door.pass()
  const answers = Array.from({ length: 1_200 }, (_, n) => Promise.resolve(lookup.resolve(`host-${n}.example`)).then(() => true, () => false))
  door.open()
  const answered = (await Promise.all(answers)).filter(Boolean).length
  t.ok(answered >= 1_000 && answered < 1_200, `${answered} answers`)
  t.equal(await lookup.resolve('host-1199.example'), null)
})

t.test('hosts that change hands are asked for again, and no others', async t => {
  const { lookup, owners, asked } = lookIn({ 'acme.example': 'acme', 'shop.acme.example': 'acme' })
  const hosts = ['acme.example', 'shop.acme.example', 'globex.example']
  for (const host of hosts) await lookup.resolve(host)
  Object.assign(owners, { 'acme.example': 'globex', 'shop.acme.example': 'globex' })
  t.equal(lookup.resolve('acme.example'), 'acme', 'the control: without being told')
  lookup.changed(['acme.example', 'other.example'])
  t.equal(await lookup.resolve('acme.example'), 'globex')
  t.equal(lookup.resolve('shop.acme.example'), 'acme')
  lookup.changed(['*.acme.example'])
  t.equal(await lookup.resolve('shop.acme.example'), 'globex', 'a wildcard concerns the hosts below it')
  asked.length = 0
  lookup.changed(null)
  for (const host of hosts) await lookup.resolve(host)
  t.same(asked.flat(), hosts, 'all, when nobody knows which')
})

t.test('an answer from before a change is not remembered after it', async t => {
  const { lookup, owners, control } = lookIn({ 'acme.example': 'acme' })
  const door = new Door()
  control.before = () => door.pass()
  const early = lookup.resolve('acme.example')
  await door.reached
  owners['acme.example'] = 'globex'
  lookup.changed(['acme.example'])
  const late = lookup.resolve('acme.example')
  door.open()
  t.equal(await early, 'acme')
  t.equal(await late, 'globex', 'who asks after the change does not share the answer')
  t.equal(await lookup.resolve('acme.example'), 'globex')
})

t.test('what is remembered has an end', async t => {
  mock.timers.enable({ apis: ['Date'] })
  t.teardown(() => mock.timers.reset())
  const { lookup, asked } = lookIn({ 'acme.example': 'acme' })
  const ask = async (): Promise<unknown> => [await lookup.resolve('acme.example'), await lookup.resolve('nobody.example')]
  await ask()
  mock.timers.setTime(4_999)
  await ask()
  t.equal(asked.length, 2)
  mock.timers.setTime(5_000)
  await ask()
  t.same(asked.slice(2), [['nobody.example']])
  mock.timers.setTime(60_000)
  await ask()
  t.same(asked.slice(3), [['acme.example'], ['nobody.example']])
})

t.test('while changes are not told', async t => {
  mock.timers.enable({ apis: ['Date'] })
  t.teardown(() => mock.timers.reset())
  const { lookup, asked, control, owners } = lookIn({ 'acme.example': 'acme' })
  await lookup.resolve('acme.example')
  await lookup.resolve('nobody.example')
  lookup.trust(false)

  t.test('a tenant keeps its hosts, and nothing else is taken for known', async t => {
    mock.timers.setTime(1_000_000)
    t.equal(lookup.resolve('acme.example'), 'acme', 'without being asked for')
    owners['nobody.example'] = 'globex'
    t.equal(await lookup.resolve('nobody.example'), 'globex')
    control.failure = new Error('PostgreSQL is away')
    await t.rejects(async () => lookup.resolve('other.example'), { message: 'PostgreSQL is away' })
  })

  t.test('and when they are again, every host is asked for once more', async t => {
    mock.timers.setTime(2_000_000)
    lookup.trust(true)
    const before = asked.length
    t.equal(await lookup.resolve('acme.example'), 'acme', 'PostgreSQL is away again: a tenant keeps its hosts')
    await t.rejects(async () => lookup.resolve('other.example'))
    delete control.failure
    t.equal(await lookup.resolve('acme.example'), 'acme')
    t.equal(asked.length, before + 3)
    t.equal(lookup.resolve('acme.example'), 'acme')
  })

  t.test('but hosts that are known to have changed hands are nobody\'s until it answers', async t => {
    lookup.changed(['acme.example'])
    control.failure = new Error('PostgreSQL is away')
    await t.rejects(async () => lookup.resolve('acme.example'), { message: 'PostgreSQL is away' })
  })
})
