import { mock } from 'node:test'
import t, { type Test } from 'tap'
import { Jitter } from '../../lib/tenants/jitter.ts'
import { turn } from '../fixtures/lifecycle/app.ts'

interface Running {
  jitter: Jitter
  begun: string[]
  /** Adds work that runs until it is ended. */
  add (key: string, name?: string): void
  /** Ends the work that began first. */
  end (): Promise<void>
  /** Advances the clock, and lets the consequences happen. */
  pass (ms?: number): Promise<void>
}

function setUp (t: Test, limit = 2): Running {
  mock.timers.enable({ apis: ['setTimeout'] })
  t.teardown(() => mock.timers.reset())
  const jitter = new Jitter({ limit, hardLimit: limit * 2, patience: 250 })
  const ends: Array<() => void> = []
  const begun: string[] = []
  return {
    jitter,
    begun,
    add: (key, name = key) => jitter.add(key, () => {
      begun.push(name)
      return new Promise(resolve => { ends.push(resolve) })
    }),
    async end () {
      ends.shift()?.()
      await turn()
    },
    async pass (ms = 100) {
      mock.timers.tick(ms)
      await turn()
    }
  }
}

t.test('work begins after a pause, and a few works run at a time', async t => {
  const { begun, add, end, pass } = setUp(t)
  for (let key = 0; key < 100; key++) add(`${key}`)
  t.same(begun, [])
  await pass()
  t.equal(begun.length, 2)
  for (let ended = 1; ended <= 98; ended++) {
    await end()
    t.equal(begun.length, 2 + ended)
  }
  t.equal(new Set(begun).size, 100)
})

t.test('works that hang delay the others only a little', async t => {
  const { begun, add, pass } = setUp(t)
  for (const key of ['a', 'b', 'c', 'd', 'e']) add(key)
  await pass()
  t.equal(begun.length, 2)
  await pass(250)
  t.equal(begun.length, 4)
  await pass(250)
  t.equal(begun.length, 4, 'up to a limit')
})

t.test('work with the same key replaces work that has not begun', async t => {
  const { begun, add, end, pass } = setUp(t, 1)
  add('a', 'first')
  add('a', 'second')
  await pass()
  t.same(begun, ['second'])
  add('a', 'third')
  await pass()
  add('a', 'fourth')
  t.same(begun, ['second'], 'it waits for the work that runs')
  await end()
  t.same(begun, ['second', 'fourth'])
})

t.test('work that is dropped never begins', async t => {
  const { jitter, begun, add, end, pass } = setUp(t, 1)
  add('a')
  await pass()
  add('early')
  await pass()
  add('late')
  add('last')
  for (const key of ['a', 'early', 'late', 'nobody']) jitter.drop(key)
  await pass()
  await end()
  t.same(begun, ['a', 'last'])
})

t.test('nothing begins after the end', async t => {
  const { jitter, begun, add, end, pass } = setUp(t, 1)
  for (const key of ['a', 'b', 'c']) add(key)
  await pass()
  jitter.close()
  await end()
  await pass()
  t.equal(begun.length, 1)
})
