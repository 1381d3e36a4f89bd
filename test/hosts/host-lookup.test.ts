import t, { type Test } from 'tap'
import { HostLookup } from '../../lib/hosts/host-lookup.ts'
import { Door, turn } from '../fixtures/lifecycle/app.ts'
import type { FastifyBaseLogger } from 'fastify'

interface Asked { lookup: HostLookup, asked: string[], warnings: object[], now (ms: number): void }

/** A lookup of a source made of one function, with a clock that the test sets. */
function lookupWith (t: Test, resolveHost: (host: string) => string | null | Promise<string | null>, timeout = 60_000): Asked {
  const asked: string[] = []
  const warnings: object[] = []
  let time = 0
  t.capture(performance, 'now', () => time)
  const log = { warn: (line: object) => { warnings.push(line) } } as FastifyBaseLogger
  const lookup = new HostLookup({
    resolveHost: host => {
      asked.push(host)
      return resolveHost(host)
    },
    timeout,
    log
  })
  return { lookup, asked, warnings, now: ms => { time = ms } }
}

t.test('the tenant of a host', async t => {
  t.test('is remembered for some seconds, and then returned at once', async t => {
    const { lookup, asked, now } = lookupWith(t, host => host === 'acme.example' ? 'acme' : null)
    for (const [ms, questions] of [[0, 2], [4_999, 2], [5_000, 4], [9_999, 4]] as const) {
      now(ms)
      t.equal(await lookup.find('acme.example'), 'acme')
      t.equal(await lookup.find('hooli.example'), null)
      t.equal(asked.length, questions, `after ${ms} ms`)
    }
    t.equal(lookup.find('acme.example'), 'acme', 'without a promise')
    t.equal(lookup.find('hooli.example'), null)
  })

  t.test('is looked up once for all that wait', async t => {
    const { lookup, asked } = lookupWith(t, async () => 'acme')
    t.strictSame(await Promise.all(Array.from({ length: 100 }, () => lookup.find('acme.example'))), Array(100).fill('acme'))
    t.strictSame(asked, ['acme.example'])
  })

  t.test('is forgotten when tenants may have been added', async t => {
    let id: string | null = null
    const { lookup } = lookupWith(t, () => id)
    t.equal(await lookup.find('acme.example'), null)
    id = 'acme'
    t.equal(await lookup.find('acme.example'), null)
    lookup.doubt()
    t.equal(await lookup.find('acme.example'), 'acme', 'a new host')
    id = 'globex'
    lookup.doubt()
    t.equal(await lookup.find('acme.example'), 'globex', 'one that moved')
    id = null
    lookup.doubt()
    t.equal(await lookup.find('acme.example'), null, 'one that is gone')
  })

  t.test('is not remembered if tenants were added during the look-up', async t => {
    const door = new Door()
    let id: string | null = null
    const { lookup, asked } = lookupWith(t, async () => {
      const answer = id
      await door.pass()
      return answer
    })
    const early = lookup.find('acme.example')
    await door.reached
    id = 'acme'
    lookup.doubt()
    const late = lookup.find('acme.example')
    door.open()
    t.strictSame([await early, await late], [null, 'acme'], 'who asks after the change does not share the answer')
    t.equal(lookup.find('acme.example'), 'acme')
    t.equal(asked.length, 2)
  })
})

t.test('a change of hosts during a look-up', async t => {
  /** How often the source is asked about `www.acme.example` if these hosts change while it answers. */
  const askedWhile = async (t: Test, changed: readonly string[] | null): Promise<number> => {
    const door = new Door()
    const { lookup, asked } = lookupWith(t, async () => {
      await door.pass()
      return 'acme'
    })
    const early = lookup.find('www.acme.example')
    await door.reached
    lookup.forget(changed)
    const late = lookup.find('www.acme.example')
    door.open()
    t.strictSame([await early, await late], ['acme', 'acme'])
    t.equal(lookup.find('www.acme.example'), 'acme', 'the answer is remembered')
    return asked.length
  }

  t.test('does not concern another host', async t => {
    for (const changed of [[], ['acme.example', 'globex.example'], ['*.globex.example', '*.www.acme.example']]) t.equal(await askedWhile(t, changed), 1, `${changed}`)
  })

  t.test('makes the source be asked about the host again', async t => {
    for (const changed of [['www.acme.example'], ['*.acme.example'], ['*.example'], null]) t.equal(await askedWhile(t, changed), 2, `${changed}`)
  })
})

t.test('a source that fails', async t => {
  t.test('is asked again at the next request', async t => {
    let fails = true
    const { lookup } = lookupWith(t, () => {
      if (fails) throw new Error('no database')
      return 'acme'
    })
    await t.rejects(async () => lookup.find('acme.example'), { message: 'no database' })
    fails = false
    t.equal(await lookup.find('acme.example'), 'acme')
  })

  t.test('leaves known hosts with their tenants, and is logged', async t => {
    let fails = false
    const { lookup, asked, warnings, now } = lookupWith(t, async host => {
      if (fails) throw new Error('no database')
      return host === 'acme.example' ? 'acme' : null
    })
    await lookup.find('acme.example')
    await lookup.find('hooli.example')
    fails = true
    now(5_000)
    t.equal(await lookup.find('acme.example'), 'acme')
    t.equal(lookup.find('acme.example'), 'acme', 'and it is not asked for each request')
    t.equal(asked.length, 3)
    t.match(warnings, [{ err: { message: 'no database' }, host: 'acme.example', tenantId: 'acme' }])
    await t.rejects(async () => lookup.find('hooli.example'), { message: 'no database' }, 'of others nothing is known')
    fails = false
    now(10_000)
    t.equal(await lookup.find('acme.example'), 'acme')
  })

  t.test('does not delay known hosts while it fails', async t => {
    let answer: () => Promise<string | null> = async () => 'acme'
    const { lookup, asked, warnings, now } = lookupWith(t, () => answer())
    await lookup.find('acme.example')
    let fail = (_error: Error): void => {}
    answer = () => new Promise((_resolve, reject) => { fail = reject })
    now(5_000)
    t.equal(await lookup.find('acme.example'), 'acme', 'after a second')
    now(10_000)
    t.equal(lookup.find('acme.example'), 'acme', 'at once')
    t.equal(asked.length, 2, 'the question from before is still on its way')
    fail(new Error('no database'))
    await turn()
    now(15_000)
    t.equal(lookup.find('acme.example'), 'acme')
    fail(new Error('no database'))
    await turn()
    t.equal(lookup.find('acme.example'), 'acme')
    t.equal(asked.length, 3, 'it is asked once in a while')
    t.equal(warnings.length, 1, 'and that is said once')

    answer = async () => 'globex'
    now(20_000)
    t.equal(lookup.find('acme.example'), 'acme')
    await turn()
    t.equal(lookup.find('acme.example'), 'globex')
  })

  t.test('delays known hosts after a change was announced', async t => {
    let fails = false
    let id = 'acme'
    const { lookup, now } = lookupWith(t, async () => {
      if (fails) throw new Error('no database')
      return id
    })
    await lookup.find('acme.example')
    fails = true
    now(5_000)
    t.equal(await lookup.find('acme.example'), 'acme')
    fails = false
    id = 'globex'
    t.equal(lookup.find('acme.example'), 'acme', 'the control: the host keeps its tenant')
    lookup.doubt()
    t.equal(await lookup.find('acme.example'), 'globex')
  })

  t.test('leaves hosts that are known to have moved without a tenant', async t => {
    const hosts = ['acme.example', 'www.acme.example', 'a.b.acme.example', 'globex.example']
    const patterns = [['acme.example'], ['*.acme.example'], ['*.b.acme.example', 'www.acme.example'], [], null]
    const forgotten = [[0], [1, 2], [1, 2], [], [0, 1, 2, 3]]
    for (const [index, told] of patterns.entries()) {
      let fails = false
      const { lookup } = lookupWith(t, async () => {
        if (fails) throw new Error('no database')
        return 'acme'
      })
      for (const host of hosts) await lookup.find(host)
      fails = true
      lookup.forget(told!)
      for (const [at, host] of hosts.entries()) {
        const found = await Promise.resolve(lookup.find(host)).catch(() => null)
        t.equal(found, forgotten[index]?.includes(at) === true ? null : 'acme', `${host}, told of ${told}`)
      }
    }
  })

  t.test('leaves hosts that are being looked up without a tenant', async t => {
    let fails = false
    const door = new Door()
    const { lookup, now } = lookupWith(t, async () => {
      if (!fails) return 'acme'
      await door.pass()
      throw new Error('no database')
    })
    for (const host of ['acme.example', 'globex.example']) await lookup.find(host)
    fails = true
    now(5_000)
    const asking = ['acme.example', 'globex.example'].map(host => Promise.resolve(lookup.find(host)).catch(() => null))
    lookup.forget(['acme.example'])
    door.open()
    t.strictSame(await Promise.all(asking), [null, 'acme'])
  })

  t.test('is not waited for longer than a load', async t => {
    const { lookup } = lookupWith(t, () => new Promise(() => {}), 50)
    await t.rejects(async () => lookup.find('acme.example'), { message: 'The source of tenants does not answer' })
  })
})

t.test('many wildcards are looked up together', async t => {
  const { lookup } = lookupWith(t, async () => 'acme')
  const hosts = Array.from({ length: 1_500 }, (_, index) => `www.shop-${index}.example`)
  for (const host of hosts) await lookup.find(host)
  lookup.forget(hosts.slice(0, 1_200).map(host => host.replace('www', '*')))
  const kept = hosts.filter(host => lookup.find(host) === 'acme')
  t.equal(kept.length, 300)
})

t.test('a wildcard that moves to another tenant', async t => {
  const DEEP = `${'a.'.repeat(119)}example`

  t.test('is not compared with each of the remembered hosts', async t => {
    const { lookup } = lookupWith(t, async () => 'acme')
    const hosts = Array.from({ length: 1_000 }, (_, index) => `h${index}.${DEEP}`)
    for (const host of hosts) await lookup.find(host)
    const looks = t.capture(String.prototype, 'indexOf', String.prototype.indexOf)
    lookup.forget(['*.other.example'])
    t.equal(lookup.find(hosts[0]!), 'acme')
    t.equal(lookup.find(hosts[0]!), 'acme')
    const count = looks().length
    looks.restore()
    t.ok(count > 0 && count <= 200, `${count} looks, of one host and once`)
  })

  t.test('keeps hosts uncertain that were uncertain before', async t => {
    let id = 'acme'
    const { lookup } = lookupWith(t, async () => id)
    await lookup.find('acme.example')
    id = 'globex'
    lookup.doubt()
    lookup.forget(['*.other.example'])
    t.equal(await lookup.find('acme.example'), 'globex')
  })

  t.test('is remembered up to a limit, and hosts looked up before that are looked up again', async t => {
    const { lookup, asked } = lookupWith(t, async () => 'acme')
    await lookup.find('early.example')
    lookup.forget(['*.first.example'])
    await lookup.find('late.example')
    lookup.forget(Array.from({ length: 10_000 }, (_, index) => `*.w${index}.example`))
    lookup.forget([`*.${DEEP}${DEEP}`])
    t.equal(lookup.find('late.example'), 'acme')
    await lookup.find('early.example')
    t.strictSame(asked, ['early.example', 'late.example', 'early.example'])
  })
})

t.test('a host that is longer than a host can be is unknown, and no source is asked', async t => {
  const { lookup, asked } = lookupWith(t, async () => 'acme')
  const longest = 'a.'.repeat(126) + 'b'
  t.equal(lookup.find(`${longest}.`), null)
  t.equal(lookup.find('a'.repeat(8_192)), null)
  t.strictSame(asked, [])
  t.equal(await lookup.find(longest), 'acme', 'the control: 253 characters')
})

t.test('a flood of made-up hosts', async t => {
  const flood = (lookup: HostLookup, hosts: number, prefix = 'x'): Array<Promise<string | null>> =>
    Array.from({ length: hosts }, async (_, index) => lookup.find(`${prefix}${index}.example`))

  t.test('reaches the source a few at a time, and the queue is bounded', async t => {
    let running = 0
    let most = 0
    const { lookup, asked } = lookupWith(t, async () => {
      most = Math.max(most, ++running)
      await new Promise(resolve => { setImmediate(resolve) })
      running--
      return null
    })
    const answers = await Promise.allSettled(flood(lookup, 5_000))
    t.equal(most, 50)
    t.ok(asked.length <= 1_050, `${asked.length} were asked for`)
    const refused = answers.filter(answer => answer.status === 'rejected')
    t.equal(refused.length, 5_000 - asked.length)
    t.match(refused[0], { reason: { message: 'Too many unknown hosts are being looked up' } })
  })

  t.test("neither delays a tenant's host nor evicts it from the cache", async t => {
    let open = (): void => {}
    const closed = new Promise<void>(resolve => { open = resolve })
    let waits = false
    const { lookup, asked, now } = lookupWith(t, async host => {
      if (host === 'acme.example') return 'acme'
      if (waits) await closed
      return null
    })
    await lookup.find('acme.example')
    for (let round = 0; round < 12; round++) await Promise.all(flood(lookup, 1_000, `${round}-`))
    t.equal(lookup.find('acme.example'), 'acme', 'after more hosts than are remembered')
    t.equal(asked.filter(host => host === 'acme.example').length, 1)

    waits = true
    const waiting = Promise.allSettled(flood(lookup, 2_000))
    now(5_000)
    t.equal(await lookup.find('acme.example'), 'acme', 'it is asked again, past those that wait')
    open()
    await waiting
  })
})
