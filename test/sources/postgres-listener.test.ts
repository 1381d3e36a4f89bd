import { EventEmitter } from 'node:events'
import { mock } from 'node:test'
import t from 'tap'
import { Listener, pauseAfter } from '../../lib/sources/postgres/listener.ts'
import { Door, latch, turn } from '../fixtures/lifecycle/app.ts'
import type pg from 'pg'
import type { ListenerOptions } from '../../lib/sources/postgres/listener.ts'

/** The part of a connection that a listener uses. */
class FakeClient extends EventEmitter {
  /** The result of an attempt to connect. */
  connecting: () => Promise<void> = async () => {}
  ending: () => Promise<void> = async () => {}
  ended = 0
  destroyed = latch()
  readonly connection = { stream: { destroy: () => this.destroyed.resolve() } }
  readonly queries: string[] = []

  async connect (): Promise<void> {
    await this.connecting()
  }

  async query (query: string | { text: string }): Promise<{ rows: unknown[] }> {
    this.queries.push(typeof query === 'string' ? query : query.text)
    return { rows: [] }
  }

  async end (): Promise<void> {
    this.ended++
    await this.ending()
    this.emit('end')
  }
}

function setUp (options: Partial<ListenerOptions> = {}) {
  const clients: FakeClient[] = []
  const lost: string[] = []
  const messages: string[] = []
  const control: { next?: (client: FakeClient) => void } = {}
  let compared = 0
  let listening = 0
  const listener = new Listener({
    channel: 'changes',
    connect: () => {
      const client = new FakeClient()
      clients.push(client)
      control.next?.(client)
      return client as unknown as pg.Client
    },
    onMessage: payload => messages.push(payload),
    compare: async () => { compared++ },
    onListening: () => { listening++ },
    onLost: ({ message }) => lost.push(message),
    ...options
  })
  return { listener, clients, lost, messages, control, compared: () => compared, listening: () => listening }
}

/** Advances the clock, and lets the consequences happen. */
async function pass (ms: number): Promise<void> {
  mock.timers.tick(ms)
  await turn()
}

t.beforeEach(() => mock.timers.enable({ apis: ['setTimeout'] }))
t.afterEach(() => mock.timers.reset())

t.test('the pauses grow to a few seconds, and are all different', async t => {
  for (const [failures, longest] of [[0, 100], [1, 200], [4, 1_600], [5, 3_000], [1_000, 3_000]] as const) {
    const pauses = Array.from({ length: 100 }, () => pauseAfter(failures))
    t.ok(pauses.every(pause => pause >= longest / 2 && pause <= longest))
    t.ok(new Set(pauses).size > 1)
  }
})

t.test('it listens, then compares, and passes messages on', async t => {
  const { listener, clients, messages, compared } = setUp()
  await listener.open()
  t.same(clients[0]?.queries, ['listen "changes"'])
  t.equal(compared(), 1)
  clients[0]?.emit('notification', { payload: 'acme' })
  clients[0]?.emit('notification', {})
  t.same(messages, ['acme', ''])
  await listener.close()
  t.equal(clients[0]?.ended, 1)
})

t.test('its connection is used for other queries, and is given up when a query gets no answer', async t => {
  const { listener, clients, lost } = setUp()
  let asked = 0
  await listener.ask(async () => { asked++ })
  t.equal(asked, 0, 'not before it listens')
  await listener.open()
  await listener.ask(async query => { await query('select 1') })
  t.same(clients[0]?.queries, ['listen "changes"', 'select 1'])
  await listener.ask(async () => { throw new Error('no answer') })
  t.same(lost, ['no answer'])
  await pass(100)
  t.equal(clients.length, 2)
  await listener.close()
})

t.test('an error of the first connection reaches the caller', async t => {
  const { listener, clients, control, lost } = setUp()
  control.next = client => { client.connecting = async () => { throw new Error('no such host') } }
  await t.rejects(listener.open(), { message: 'no such host' })
  await pass(10_000)
  t.equal(clients.length, 1)
  t.same(lost, [])
  await listener.close()
})

t.test('a lost connection is reported once, and opened again until it works', async t => {
  const { listener, clients, control, lost, compared, listening } = setUp()
  await listener.open()
  control.next = client => { client.connecting = async () => { throw new Error('away') } }
  clients[0]?.emit('error', new Error('cut'))
  clients[0]?.emit('error', new Error('cut again'))
  t.same(lost, ['cut'])
  for (let attempt = 0; attempt < 5; attempt++) await pass(3_000)
  t.equal(clients.length, 6)
  delete control.next
  await pass(3_000)
  t.equal(clients.length, 7)
  t.same([compared(), listening()], [2, 2])
  t.ok(clients.slice(0, 6).every(({ ended }) => ended > 0), 'nothing is left open')
  clients[0]?.emit('error', new Error('late news'))
  clients[6]?.emit('end')
  t.same(lost, ['cut', 'The connection was closed'])
  await listener.close()
})

t.test('it compares periodically, and gives up a connection that fails to', async t => {
  let failing = false
  let compared = 0
  const { listener, clients, lost } = setUp({ compare: async () => { if (failing) throw new Error('no answer'); compared++ } })
  await listener.open()
  await pass(10_000)
  await pass(10_000)
  t.equal(compared, 3)
  failing = true
  await pass(10_000)
  t.same(lost, ['no answer'])
  t.equal(clients[0]?.ended, 1)
  failing = false
  await pass(100)
  t.equal(clients.length, 2)
  t.equal(compared, 4)
  await listener.close()
})

t.test('a connection that cannot be closed is dropped', async t => {
  const { listener, clients, control, lost } = setUp()
  control.next = client => { client.ending = async () => { throw new Error('stuck') } }
  await listener.open()
  delete control.next
  clients[0]?.emit('error', new Error('cut'))
  await pass(100)
  t.same(lost, ['cut'])
  t.equal(clients.length, 2)
  await listener.close()
})

t.test('a server that does not confirm the close is left', async t => {
  const { listener, clients, control } = setUp()
  control.next = client => { client.ending = () => client.destroyed.promise }
  await listener.open()
  const closing = listener.close()
  await turn()
  await pass(1_000)
  await closing
  t.equal(clients[0]?.ended, 1)
})

t.test('it does not compare again when it is closed or lost during a comparison', async t => {
  for (const lose of [false, true]) {
    const door = new Door()
    let compared = 0
    const { listener, clients } = setUp({ compare: async () => { if (++compared === 2) await door.pass() } })
    await listener.open()
    await pass(10_000)
    await door.reached
    if (lose) clients[0]?.emit('error', new Error('cut'))
    else await listener.close()
    door.open()
    await turn()
    if (lose) await pass(100)
    t.equal(compared, lose ? 3 : 2)
    await pass(10_000)
    t.equal(compared, lose ? 4 : 2, 'on the new connection alone')
    await listener.close()
  }
})

t.test('it makes no further attempt when it is closed during a pause', async t => {
  const { listener, clients } = setUp()
  await listener.open()
  clients[0]?.emit('end')
  await listener.close()
  await pass(10_000)
  t.equal(clients.length, 1)
})

t.test('it ends the new connection when it is closed while it connects', async t => {
  for (const fails of [false, true]) {
    const { listener, clients, control } = setUp()
    await listener.open()
    const door = new Door()
    control.next = client => {
      client.connecting = async () => {
        await door.pass()
        if (fails) throw new Error('away')
      }
    }
    clients[0]?.emit('end')
    await pass(100)
    await door.reached
    const closing = listener.close()
    door.open()
    await closing
    t.equal(clients[1]?.ended, 1)
    await pass(100_000)
    t.equal(clients.length, 2)
  }
})
