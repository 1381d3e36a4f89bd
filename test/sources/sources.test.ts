import { mkdir, rm, symlink, utimes } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { pino } from 'pino'
import t from 'tap'
import { combinedSource } from '../../lib/sources/combined.ts'
import { directorySource } from '../../lib/sources/directory.ts'
import { objectSource } from '../../lib/sources/object.ts'
import { resolveSource } from '../../lib/sources/resolve.ts'
import { appWith, LogLines } from '../fixtures/lifecycle/app.ts'
import { ids, TestSource } from '../fixtures/test-source.ts'
import type { LoadedTenant, TenantChange, TenantSource } from '../../types/index.ts'

const LONG_AGO = new Date('2020-01-01T00:00:00Z')
const WRONG_OPTION = { name: 'FastifyError', code: 'FST_TENANT_OPTION_INVALID' }

/** A source that records its calls. */
function spySource (known: string[], asked: string[], failure?: Error): TenantSource {
  return {
    get (id) {
      asked.push(id)
      if (failure !== undefined) throw failure
      return known.includes(id) ? { id, hosts: known } : null
    },
    async * list () { yield * known }
  }
}

t.test('the tenants of a folder', async t => {
  t.test('are the folders whose names are ids, in order', async t => {
    const dir = t.testdir({
      globex: {},
      acme: {},
      elsewhere: t.fixture('symlink', 'acme'),
      gone: t.fixture('symlink', 'nowhere'),
      'to-file': t.fixture('symlink', 'README'),
      README: 'no tenant',
      node_modules: {},
      '.git': {},
      _shared: {},
      'with space': {},
      ['a'.repeat(64)]: {}
    })
    const source = directorySource(dir)
    t.same(await ids(source), ['acme', 'elsewhere', 'globex'])
    t.same(await source.get('acme'), { id: 'acme', dir: join(dir, 'acme') })
    t.same(await source.get('elsewhere'), { id: 'elsewhere', dir: join(dir, 'elsewhere') })
    for (const id of ['ACME', 'Acme', 'nobody', 'README', 'node_modules', '.git', '_shared', 'gone', 'to-file', '', '.', '..', '../acme', 'acme/', './acme', 'constructor', '__proto__']) {
      t.equal(await source.get(id), null, `'${id}' is no tenant`)
    }
  })

  t.test('a symbolic link that cannot be followed hides no other tenant', async t => {
    const dir = t.testdir({ acme: {} })
    await symlink('loop', join(dir, 'loop'))
    const source = directorySource(dir)
    t.same(await ids(source), ['acme', 'loop'])
    t.same(await source.get('loop'), { id: 'loop', dir: join(dir, 'loop') }, 'its load says what is wrong')
  })

  t.test('the folder may be a relative path or an URL', async t => {
    const dir = t.testdir({ acme: {} })
    t.same(await ids(directorySource(pathToFileURL(dir))), ['acme'])
    t.equal(directorySource('tenants').dir, resolve('tenants'))
    t.throws(() => directorySource(''), WRONG_OPTION)
    t.throws(() => directorySource(new URL('https://example.com/tenants')), WRONG_OPTION)
  })

  t.test('an added or deleted folder is noticed at once', async t => {
    const dir = t.testdir({ acme: {} })
    const source = directorySource(dir)
    t.equal(await source.get('globex'), null)
    await mkdir(join(dir, 'globex'))
    t.same(await source.get('globex'), { id: 'globex', dir: join(dir, 'globex') })
    await rm(join(dir, 'acme'), { recursive: true })
    t.equal(await source.get('acme'), null)
    t.same(await ids(source), ['globex'])
  })

  t.test('the folder is listed again only after a change', async t => {
    const dir = t.testdir({ acme: {} })
    await utimes(dir, LONG_AGO, LONG_AGO)
    const source = directorySource(dir)
    t.equal(await source.get('globex'), null)
    await mkdir(join(dir, 'globex'))
    await utimes(dir, LONG_AGO, LONG_AGO)
    t.equal(await source.get('globex'), null, 'by its mtime the folder is what it was')
    await utimes(dir, LONG_AGO, new Date(LONG_AGO.getTime() + 1))
    t.not(await source.get('globex'), null)
  })

  t.test('concurrent calls share a listing, but not one that started before', async t => {
    const dir = t.testdir({ acme: {} })
    let listings = 0
    let whileListing = async (): Promise<void> => {}
    const fs = await import('node:fs/promises')
    const readdir = async (path: string, options: { withFileTypes: true }): Promise<unknown> => {
      listings++
      const entries = await fs.readdir(path, options)
      await whileListing()
      return entries
    }
    const { directorySource } = await t.mockImport<typeof import('../../lib/sources/directory.ts')>('../../lib/sources/directory.ts', {
      'node:fs/promises': { ...fs, readdir }
    })
    const source = directorySource(dir)
    const answers = await Promise.all(Array.from({ length: 50 }, () => source.get('globex')))
    t.ok(answers.every(answer => answer === null))
    t.equal(listings, 1)

    let late: ReturnType<typeof source.get> | undefined
    whileListing = async () => {
      whileListing = async () => {}
      await mkdir(join(dir, 'globex'))
      late = source.get('globex')
    }
    t.equal(await source.get('globex'), null, 'not there yet when it was asked for')
    t.not(await late, null, 'what was made before asking is found')
  })

  t.test('an error of the file system is never "not found"', async t => {
    const dir = t.testdir({ tenants: { acme: {} } })
    const source = directorySource(join(dir, 'tenants'))
    t.not(await source.get('acme'), null)
    await rm(join(dir, 'tenants'), { recursive: true })
    await t.rejects(source.get('acme'), { code: 'ENOENT' })
    await t.rejects(ids(source), { code: 'ENOENT' })
    await mkdir(join(dir, 'tenants'))
    t.equal(await source.get('acme'), null, 'it recovers')
  })

  t.test('a missing folder is refused at boot, by name', async t => {
    const dir = t.testdir({ file: '', tenants: {} })
    await t.resolves(directorySource(join(dir, 'tenants')).open())
    await t.rejects(directorySource(join(dir, 'missing')).open(), { ...WRONG_OPTION, message: `The option 'tenants' must be a folder that exists: ${join(dir, 'missing')}` })
    await t.rejects(directorySource(join(dir, 'file')).open(), WRONG_OPTION)
    await t.rejects(directorySource(join(dir, 'file', 'below')).open(), { code: 'ENOTDIR' })
  })
})

t.test('tenants given in code', async t => {
  t.test('are known only by their own ids', async t => {
    const plugin = async () => {}
    const source = objectSource({ acme: { config: { plan: 'gold' }, plugin, dir: 'tenants/acme', hosts: ['acme.example'] }, globex: {} })
    t.same(await ids(source), ['acme', 'globex'])
    t.same(source.get('acme'), { id: 'acme', config: { plan: 'gold' }, plugin, dir: resolve('tenants/acme'), hosts: ['acme.example'] })
    t.same(source.get('globex'), { id: 'globex' })
    for (const id of ['constructor', '__proto__', 'toString', 'ACME']) t.equal(source.get(id), null)
  })

  t.test('are checked', async t => {
    const wrong = (tenants: unknown, message: string): void => {
      t.throws(() => objectSource(tenants as never), { ...WRONG_OPTION, message: new RegExp(`^The option '${message}' must be `) })
    }
    wrong({ '../acme': {} }, 'tenants.../acme')
    wrong({ acme: null }, 'tenants.acme')
    wrong({ acme: 'folder' }, 'tenants.acme')
    wrong({ acme: [] }, 'tenants.acme')
    wrong({ acme: { dir: 1 } }, 'tenants.acme.dir')
    wrong({ acme: { dir: '' } }, 'tenants.acme.dir')
    wrong({ acme: { plugin: {} } }, 'tenants.acme.plugin')
    wrong({ acme: { hosts: 'acme.example' } }, 'tenants.acme.hosts')
    wrong({ acme: { hosts: [1] } }, 'tenants.acme.hosts')
  })
})

t.test('a source that accepts several spellings of an id finds the tenant by one of them', async t => {
  const log = new LogLines()
  const asked: string[] = []
  const source: TenantSource = {
    get (id) {
      asked.push(id)
      return { id: id.toLowerCase() }
    },
    async * list () { yield 'acme' }
  }
  const app = appWith(t, source, {}, log.server)
  const statusOf = async (id: string): Promise<number> => (await app.inject({ url: '/', headers: { 'x-tenant-id': id } })).statusCode
  await app.ready()
  for (const id of ['ACME', 'Acme', 'acmE', 'ACME']) t.equal(await statusOf(id), 404, id)
  await t.rejects(app.multitenant.init('ACME'), { code: 'FST_TENANT_NOT_FOUND' })
  await t.resolves(app.multitenant.init('acme'))
  t.same((await app.multitenant.stats()).tenants.map(({ id }) => id), ['acme'])
  t.match(log.of('the source of tenants returned another id than it was asked for: the tenant is treated as unknown'), [{ asked: 'ACME', answered: 'acme' }])
  t.same(asked, ['ACME', 'Acme', 'acmE', 'ACME', 'acme'], 'and it is remembered as unknown')
})

t.test('several sources', async t => {
  t.test('are asked in turn, and the first that knows the tenant wins', async t => {
    const first: string[] = []
    const second: string[] = []
    const source = combinedSource([spySource(['acme'], first), spySource(['acme', 'globex'], second)])
    t.same(await source.get('acme'), { id: 'acme', hosts: ['acme'] })
    t.same(await source.get('globex'), { id: 'globex', hosts: ['acme', 'globex'] })
    t.equal(await source.get('nobody'), null)
    t.same(first, ['acme', 'globex', 'nobody'])
    t.same(second, ['globex', 'nobody'])
    t.same(await ids(source), ['acme', 'globex'])
  })

  t.test('ask the next source if one returns undefined', async t => {
    const silent: TenantSource = { get: () => undefined as never, async * list () { yield * [] }, resolveHost: () => undefined as never }
    const source = combinedSource([silent, { ...spySource(['acme'], []), resolveHost: () => 'acme' }])
    t.match(await source.get('acme'), { id: 'acme' })
    t.equal(await source.get('globex'), null)
    t.equal(await source.resolveHost?.('acme.example'), 'acme')
  })

  t.test('fail if one of them fails', async t => {
    const asked: string[] = []
    const source = combinedSource([spySource([], [], new Error('database down')), spySource(['acme'], asked)])
    await t.rejects(source.get('acme'), { message: 'database down' })
    t.same(asked, [])
  })

  t.test('each get the loaded tenants that they have, and no others', async t => {
    const told: Array<TenantChange | undefined> = []
    const [first, bare, second] = [new TestSource(), spySource(['initech'], []), new TestSource()]
    const heard: LoadedTenant[][] = []
    const watched = (source: TestSource): TenantSource => Object.assign(source, {
      watch (changed: (change?: TenantChange) => void, loaded: () => LoadedTenant[]) {
        heard.push(loaded())
        return TestSource.prototype.watch.call(source, changed, loaded)
      }
    })
    first.put({ id: 'acme' })
    second.put({ id: 'globex' })
    const source = combinedSource([watched(first), bare, watched(second)])
    const loaded = await Promise.all(['acme', 'globex', 'initech'].map(async id => ({ id, version: (await source.get(id))?.version })))
    t.equal(new Set(loaded.map(({ version }) => version)).size, 3, 'versions of two sources are not the same')
    const stop = source.watch(change => told.push(change), () => loaded)
    t.same(heard, [[{ id: 'acme', version: '1' }], [{ id: 'globex', version: '1' }]])

    first.tell({ id: 'acme', version: '1' })
    first.tell({ id: 'acme', active: false })
    second.tell()
    t.same(told, [loaded[0], { id: 'acme', active: false }, undefined])
    stop()
    first.tell()
    t.equal(told.length, 3)
  })

  t.test('are closed if one of them cannot be opened', async t => {
    for (const stuck of [false, true]) {
      let closed = 0
      const closable = (): TenantSource => Object.assign(new TestSource(), {
        close () {
          closed++
          if (stuck) throw new Error('stuck')
        }
      })
      const lines = new LogLines()
      const app = appWith(t, [closable(), closable(), '/nowhere'], {}, lines.server)
      await t.rejects(async () => { await app.ready() }, WRONG_OPTION, 'the app says why it cannot boot')
      t.equal(closed, 2)
      t.equal(lines.of('the source of tenants failed to close').length, stuck ? 1 : 0)
    }
  })

  t.test('are opened, and always closed', async t => {
    const events: string[] = []
    const bare = spySource([], [])
    const good = { ...bare, open: () => { events.push('open') }, close: () => { events.push('close') } }
    const bad = { ...bare, close: () => { throw new Error('stuck') } }
    await combinedSource([bare, good]).open({ log: pino({ level: 'silent' }) })
    await combinedSource([bare, good]).close()
    t.same(events, ['open', 'close'])
    await t.rejects(combinedSource([bad, good]).close(), { name: 'AggregateError', errors: [{ message: 'stuck' }] })
    t.same(events, ['open', 'close', 'close'])
  })
})

t.test('the option `tenants`', async t => {
  const dir = t.testdir({ acme: {} })

  t.test('may be a folder, a source, an object, or an array of these', async t => {
    const own = spySource(['initech'], [])
    t.same(await ids(resolveSource(dir)), ['acme'])
    t.same(await ids(resolveSource(pathToFileURL(dir))), ['acme'])
    t.equal(resolveSource(own), own)
    t.same(await ids(resolveSource({ globex: {} })), ['globex'])
    t.same(await ids(resolveSource([dir, { globex: {} }, own])), ['acme', 'globex', 'initech'])
    t.same(await ids(resolveSource({ get: {}, list: {} })), ['get', 'list'], 'tenants may be called get and list')
  })

  t.test('is refused if it is anything else', async t => {
    for (const wrong of [null, undefined, 1, true, () => {}, [], [null], [[dir]], '', new URL('https://example.com')]) {
      t.throws(() => resolveSource(wrong as never), WRONG_OPTION)
    }
  })
})
