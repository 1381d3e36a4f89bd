import { randomUUID } from 'node:crypto'
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setInterval } from 'node:timers/promises'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { FolderChanges } from '../../lib/tenants/folder-changes.ts'
import { appWith, Events, LogLines, refusal, send, until } from '../fixtures/lifecycle/app.ts'
import type { FastifyInstance } from 'fastify'
import type { Message } from '../fixtures/lifecycle/app.ts'

function route (body: string): string {
  return `export default async app => { app.get('/', async () => '${body}') }\n`
}

interface Watched {
  app: FastifyInstance
  dir: string
  events: Events
  log: LogLines
  write (name: string, text: string): Promise<void>
}

/** An app with the tenants acme and globex, whose folders are watched. */
async function setUp (t: Test): Promise<Watched> {
  const dir = t.testdir({})
  const ids = [`acme-${randomUUID()}`, `globex-${randomUUID()}`]
  const [acme, globex] = ids as [string, string]
  for (const id of ids) {
    await mkdir(join(dir, id, 'routes'), { recursive: true })
    await writeFile(join(dir, id, 'routes', 'index.mjs'), route('old'))
  }
  const log = new LogLines()
  const events = new Events(t)
  const app = appWith(t, { acme: { dir: join(dir, acme) }, globex: { dir: join(dir, globex) } }, { watch: true }, log.server)
  await app.ready()
  await app.multitenant.init('acme')
  await app.multitenant.init('globex')
  for (const [id, folder] of [['acme', acme], ['globex', globex]] as const) await watched(events, id, join(dir, folder, 'notes.txt'))
  events.all.length = 0
  log.lines.length = 0
  return { app, dir: join(dir, acme), events, log, write: (name, text) => writeFile(join(dir, acme, name), text) }
}

/** Writes until the change is noticed, because nothing reports that a folder is watched. */
async function watched (events: Events, id: string, file: string): Promise<void> {
  await watchedOnce(events.next('reload', message => message.id === id), file)
}

/** Writes the file until the reload comes. */
async function watchedOnce (reload: Promise<unknown>, file: string): Promise<void> {
  let noticed = false
  const done = reload.then(() => { noticed = true })
  for await (const content of setInterval(300, 'written')) {
    if (noticed) break
    await writeFile(file, content)
  }
  await done
}

/** The name of the other tenant's folder, beside `dir`. */
async function folderOf (dir: string, id: string): Promise<string> {
  const names = await readdir(join(dir, '..'))
  return names.find(name => name.startsWith(id)) as string
}

function next (events: Events, event: 'reload' | 'fail'): Promise<Message> {
  return events.next(event, ({ id }) => id === 'acme')
}

t.test('a tenant is reloaded once when its files change, and no other tenant is', async t => {
  const { app, events, log, write } = await setUp(t)
  const reloaded = next(events, 'reload')
  await write('routes/index.mjs', route('half'))
  for (let index = 0; index < 20; index++) await write(`routes/more-${index}.mjs`, 'export default async () => {}\n')
  await write('routes/index.mjs', route('new'))
  await reloaded
  t.equal((await send(app, 'acme')).body, 'new')
  t.equal((await send(app, 'globex')).body, 'old')
  t.same(events.of('reload').map(({ id }) => id), ['acme'])
  t.match(log.of('tenant reloaded'), [{ tenantId: 'acme' }])
})

t.test('a broken file leaves the tenant unchanged, and a fixed file reloads it', async t => {
  const { app, events, log, write } = await setUp(t)
  const failed = next(events, 'fail')
  const warned = log.next('tenant not reloaded')
  await write('routes/index.mjs', 'this is no code')
  t.match(await failed, { error: { code: 'FST_TENANT_LOAD_FAILED' } })
  t.match(await warned, { level: 40, tenantId: 'acme' })
  t.equal((await send(app, 'acme')).body, 'old')
  const reloaded = next(events, 'reload')
  await write('routes/index.mjs', route('mended'))
  await reloaded
  t.equal((await send(app, 'acme')).body, 'mended')
})

t.test('a tenant that cannot load at first loads when its file is fixed', async t => {
  const { app, events, dir, write } = await setUp(t)
  await app.multitenant.unload('acme')
  await write('routes/index.mjs', 'this is no code')
  // No request asks for the tenant yet, so the change alone loads nothing.
  const failed = next(events, 'fail')
  t.equal((await send(app, 'acme')).statusCode, 503, dir)
  await failed
  const loaded = events.next('load', ({ id }) => id === 'acme')
  await write('routes/index.mjs', route('mended'))
  await loaded
  t.equal((await send(app, 'acme')).body, 'mended')
})

t.test('deleted files are noticed', async t => {
  const { app, events, dir, write } = await setUp(t)
  let reloaded = next(events, 'reload')
  await mkdir(join(dir, 'routes', 'extra'))
  await write('routes/extra/index.mjs', route('extra'))
  await reloaded
  t.equal((await send(app, 'acme', '/extra')).body, 'extra')
  reloaded = next(events, 'reload')
  await rm(join(dir, 'routes', 'extra'), { recursive: true })
  await reloaded
  t.same((await send(app, 'acme', '/extra')).statusCode, 404)
})

t.test('a folder that is deleted and created again is watched again', async t => {
  const { app, events, dir, write } = await setUp(t)
  for (const round of [1, 2]) {
    const failed = next(events, 'fail')
    await rm(dir, { recursive: true })
    await failed
    t.equal((await send(app, 'acme')).statusCode, 200, 'the tenant in memory goes on')
    await mkdir(join(dir, 'routes'), { recursive: true })
    await write('routes/index.mjs', route(`made ${round}`))
    await until(async () => (await send(app, 'acme')).body === `made ${round}`, Infinity)
    await watched(events, 'acme', join(dir, 'notes.txt'))
    const again = next(events, 'reload')
    await write('routes/index.mjs', route(`written ${round}`))
    await again
    await until(async () => (await send(app, 'acme')).body === `written ${round}`, Infinity)
  }
})

t.test('a folder that is replaced, or missing at first, is watched', async t => {
  const { app, events, dir, write } = await setUp(t)
  await rename(dir, `${dir}-old`)
  await mkdir(join(`${dir}-new`, 'routes'), { recursive: true })
  await writeFile(join(`${dir}-new`, 'routes', 'index.mjs'), route('replaced'))
  await rename(`${dir}-new`, dir)
  await until(async () => (await send(app, 'acme')).body === 'replaced', Infinity)
  await watched(events, 'acme', join(dir, 'notes.txt'))
  await rm(dir, { recursive: true })
  await app.multitenant.unload('acme')
  t.equal((await send(app, 'acme')).statusCode, 503)
  await mkdir(join(dir, 'routes'), { recursive: true })
  await write('routes/index.mjs', route('late'))
  await until(async () => (await send(app, 'acme')).body === 'late', Infinity)
})

t.test('folders of deleted tenants are no longer watched', async t => {
  const dir = t.testdir({ acme: {}, globex: {}, initech: {} })
  const known = new Set(['acme', 'globex', 'initech'])
  const watcher = new FolderChanges(async () => {}, id => known.has(id), pino({ level: 'silent' }))
  t.teardown(() => watcher.close())
  for (const id of known) watcher.add(id, join(dir, id))
  watcher.add('other', join(dir, 'initech'))
  t.equal(watcher.size, 3)
  for (const id of ['acme', 'globex']) await rm(join(dir, id), { recursive: true })
  known.delete('globex')
  known.delete('initech')
  const looked = (): boolean => {
    watcher.add('other', join(dir, 'initech'))
    return watcher.size < 3
  }
  await until(looked, Infinity)
  t.equal(watcher.size, 2, 'one that is in memory may come back, one that is there may be loaded again')
  known.delete('acme')
  looked()
  t.equal(watcher.size, 1)
})

t.test('a load that runs while the app closes leaves no watcher behind', async t => {
  const dir = t.testdir({ acme: {} })
  const watcher = new FolderChanges(async () => {}, () => true, pino({ level: 'silent' }))
  await watcher.close()
  watcher.add('acme', join(dir, 'acme'))
  t.equal(watcher.size, 0)
})

t.test('a folder that cannot be watched is logged', async t => {
  const lines = new LogLines()
  const app = appWith(t, { acme: { dir: join(t.testdir({}), 'nothing', 'acme') } }, { watch: true }, lines.server)
  t.equal((await send(app, 'acme')).statusCode, 503)
  t.match(lines.of('watching the folders of tenants failed'), [{ level: 50, err: { code: 'ENOENT' } }])
})

t.test('changed files do not load a tenant that is not loaded', async t => {
  const { app, events, dir, write } = await setUp(t)
  await app.multitenant.unload('acme')
  await write('routes/index.mjs', route('new'))
  // This is written later, so the others have been noticed when this one is.
  const other = events.next('reload', ({ id }) => id === 'globex')
  await watchedOnce(other, join(dir, '..', await folderOf(dir, 'globex'), 'notes.txt'))
  t.same(events.of('load'), [])
  t.equal((await send(app, 'acme')).body, 'new')
})

t.test('changed files do not load a suspended tenant', async t => {
  const { app, events, write } = await setUp(t)
  await app.multitenant.suspend('acme')
  await write('routes/index.mjs', route('new'))
  app.multitenant.resume('acme')
  const loaded = events.next('load', ({ id }) => id === 'acme')
  t.equal((await send(app, 'acme')).body, 'new', 'it reads them when it is asked for')
  await loaded
  t.equal(events.of('load').length, 1)
  await app.multitenant.suspend('acme')
  t.same(refusal(await send(app, 'acme')), [403, 'FST_TENANT_SUSPENDED'])
})

t.test('a file that is written while the app closes reloads nothing', async t => {
  const { app, events, write } = await setUp(t)
  await write('routes/index.mjs', route('new'))
  await app.close()
  t.same(events.of('reload'), [])
})
