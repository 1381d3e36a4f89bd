import { randomUUID } from 'node:crypto'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { mock } from 'node:test'
import t from 'tap'
import { appOf, send } from '../fixtures/templates/app.ts'
import { Door, fakeTime, latch, LogLines, refusal, turn, until } from '../fixtures/lifecycle/app.ts'
import type { Test } from 'tap'
import type { FastifyInstance } from 'fastify'
import type { InlineTemplate, InlineTenant, MultitenantOptions } from '../../index.ts'

type Content = NonNullable<Parameters<Test['testdir']>[0]>

/** A folder at a path from which no module was imported before. */
function folder (t: Test, content: Content): string {
  const name = randomUUID()
  return join(t.testdir({ [name]: content }), name)
}

interface SetUp { app: FastifyInstance, log: LogLines }

/** An app whose route answers with the tenant's id. */
function setUp (t: Test, templates: MultitenantOptions['templates'], tenants: Record<string, InlineTenant>, options: MultitenantOptions = {}): SetUp {
  const log = new LogLines()
  const app = appOf(t, templates, tenants, options, log.server)
  app.get('/', async ({ tenantId }) => tenantId)
  return { app, log }
}

/** The tenant `bad` is refused, and `good` and `plain` are not. Returns the log as text. */
async function refused (t: Test, { app, log }: SetUp, code = 'FST_TENANT_LOAD_FAILED'): Promise<string> {
  t.same(refusal(await send(app, 'bad')), [503, code])
  for (const id of ['plain', 'good']) t.equal((await send(app, id)).body, id)
  const { body } = await send(app, 'bad')
  t.notMatch(body, /template|shop|broken/i, 'the reply says nothing of the template')
  return log.lines.filter(({ level }) => level as number >= 40).map(line => JSON.stringify(line)).join('\n')
}

const GOOD: Record<string, InlineTenant> = { plain: {}, good: { template: 'fine' } }

for (const name of ['missing', '../outside', '../../etc', 'a/b', '/etc', '..', '.', 'fine/../fine', 'FINE\0', '__proto__', 'constructor', 'toString']) {
  t.test(`a tenant that names the template ${JSON.stringify(name)} is refused alone`, async t => {
    const dir = folder(t, { templates: { fine: {}, missing2: {} }, outside: { 'index.mjs': 'throw new Error("it was loaded")' } })
    for (const templates of [join(dir, 'templates'), { fine: {} }]) {
      const text = await refused(t, setUp(t, templates, { ...GOOD, bad: { config: { template: name } } }))
      t.match(text, /Template .* not found/)
      t.match(text, /"tenantId":"bad"/)
      t.ok(text.includes('fine'), 'the line lists the templates that exist')
      t.notMatch(text, /it was loaded/)
    }
  })
}

for (const template of [1, {}, [], true, '', ['fine']] as unknown[]) {
  t.test(`a config whose template is ${JSON.stringify(template)} is invalid`, async t => {
    const text = await refused(t, setUp(t, { fine: {} }, { ...GOOD, bad: { config: { template } as never } }))
    t.match(text, /FST_TENANT_CONFIG_INVALID/)
    t.match(text, /template must be the name of a template/)
  })
}

t.test('null and undefined name no template', async t => {
  const { app } = setUp(t, {}, { a: { config: { template: null } as never }, b: { config: { template: undefined } as never } })
  for (const id of ['a', 'b']) t.equal((await send(app, id)).body, id)
})

t.test('an option templates of a wrong form is refused at boot', async t => {
  for (const templates of [1, null, { 'a/b': {} }, { a: 1 }, { a: { dir: 1 } }, { a: { plugin: {} } }, { a: { config: 1 } }, { a: { plugins: [] } }]) {
    const { app } = setUp(t, templates as never, {})
    await t.rejects(Promise.resolve(app.ready()), { code: 'FST_TENANT_OPTION_INVALID' }, JSON.stringify(templates))
  }
})

t.test('a folder of templates that does not exist has none', async t => {
  const { app, log } = setUp(t, join(folder(t, {}), 'nowhere'), { plain: {}, bad: { template: 'fine' } })
  t.same(refusal(await send(app, 'bad')), [503, 'FST_TENANT_LOAD_FAILED'])
  t.equal((await send(app, 'plain')).body, 'plain')
  t.match(JSON.stringify(log.of('tenant failed to load')), /Template 'fine' not found. The templates are: none/)
})

function rejectsWithNothing (): Promise<void> {
  const { promise, reject } = latch()
  reject(undefined as unknown as Error)
  return promise
}

const BROKEN: Record<string, InlineTemplate> = {
  'whose plugin throws': { plugin: async () => { throw new Error('broken') } },
  'whose plugin throws nothing': { plugin: rejectsWithNothing },
  'whose plugin calls back with an error': { plugin: (_scope, _options, done) => done(new Error('broken')) },
  'whose onReady hook fails': { plugin: async scope => { scope.addHook('onReady', async () => { throw new Error('broken') }) } },
  'with a duplicate route': {
    plugin: async scope => {
      scope.get('/x', async () => '')
      scope.get('/x', async () => '')
    }
  },
  'that names another template': { config: { template: 'fine' } as never },
  'that names a plugin that does not exist': { config: { plugins: ['npm:no-such-package-at-all'] } },
  'whose plugins are no names': { config: { plugins: [1] } as never },
  'whose folder does not exist': { dir: '/no/such/folder' }
}

for (const [name, template] of Object.entries(BROKEN)) {
  t.test(`a template ${name} harms its tenants only`, async t => {
    const { app, log } = setUp(t, { fine: {}, shop: template }, { ...GOOD, bad: { template: 'shop' }, other: { template: 'shop', plugin: async () => {} } })
    const text = await refused(t, { app, log })
    t.match(text, /"template":"shop"/)
    t.same(refusal(await send(app, 'other')), [503, 'FST_TENANT_LOAD_FAILED'])
    t.equal(log.of('template failed to load').length, 1, 'loaded once, then there is a pause')
    const { templates } = await app.multitenant.stats()
    t.match(templates.find(({ name }) => name === 'shop'), { state: 'failed', generation: 0, tenants: 0, loadedAt: null, lastError: String })
  })
}

const PER_TENANT: Record<string, Content> = {
  'a service throws': { services: { 'x.mjs': 'export default (db, { mark }) => { if (mark) throw new Error("broken service") ; return 1 }' } },
  'the config function throws': { 'config.mjs': 'export default ({ id }) => { if (id === "bad") throw new Error("broken"); return {} }' },
  'the config function names another template': { 'config.mjs': 'export default ({ id }) => id === "bad" ? { template: "fine" } : {}' },
  'the config function names plugins': { 'config.mjs': 'export default ({ id }) => id === "bad" ? { plugins: [] } : {}' },
  'the config function returns no object': { 'config.mjs': 'export default ({ id }) => id === "bad" ? 1 : {}' }
}

for (const [name, content] of Object.entries(PER_TENANT)) {
  t.test(`a tenant for which ${name} is refused alone`, async t => {
    const { app, log } = setUp(t, { shop: { dir: folder(t, content) } }, { bad: { template: 'shop', config: { mark: true } }, good: { template: 'shop' } })
    t.same(refusal(await send(app, 'bad')), [503, 'FST_TENANT_LOAD_FAILED'])
    t.equal((await send(app, 'good')).body, 'good')
    t.equal(log.of('template failed to load').length, 0)
    t.match(log.of('tenant failed to load'), [{ tenantId: 'bad' }])
    t.match(await app.multitenant.stats(), { templates: [{ state: 'active', tenants: 1 }] }, 'the tenant that failed has let go of it')
  })
}

t.test('a template that hangs times out, and its tenants alone', async t => {
  fakeTime(t)
  const door = new Door()
  const { app, log } = setUp(t, { fine: {}, shop: { plugin: () => door.pass() } }, { ...GOOD, bad: { template: 'shop' }, own: { template: 'shop', plugin: async () => {} } }, { loadTimeout: 1_000 })
  await app.ready()
  const waiting = [send(app, 'bad'), send(app, 'own')]
  await door.reached
  for (const id of ['plain', 'good']) t.equal((await send(app, id)).body, id)
  await turn()
  mock.timers.tick(1_001)
  for (const response of await Promise.all(waiting)) t.match(refusal(response), [503, 'FST_TENANT_LOAD_TIMEOUT'])
  await until(() => {
    mock.timers.tick(100)
    return log.of('template failed to load').length === 1
  })
  t.match(log.of('template failed to load'), [{ template: 'shop' }])
  door.open()
})

t.test('after the pause a mended template is loaded, and its tenants with it', async t => {
  fakeTime(t)
  const dir = folder(t, { 'index.mjs': 'export default async () => { throw new Error("broken") }' })
  const { app, log } = setUp(t, { shop: { dir } }, { bad: { template: 'shop' }, other: { template: 'shop' } })
  await app.ready()
  t.equal((await send(app, 'bad')).statusCode, 503)
  t.equal((await send(app, 'other')).statusCode, 503)
  await writeFile(join(dir, 'index.mjs'), 'export default async () => {}')
  t.equal((await send(app, 'bad')).statusCode, 503, 'during the pause')
  t.equal(log.of('template failed to load').length, 1)
  mock.timers.tick(60_000)
  t.equal((await send(app, 'bad')).body, 'bad')
  t.equal((await send(app, 'other')).body, 'other')
})

t.test('reloadTemplate() ends the pause of a mended template', async t => {
  const dir = folder(t, { 'index.mjs': 'export default async () => { throw new Error("broken") }' })
  const { app } = setUp(t, { shop: { dir } }, { bad: { template: 'shop' } })
  t.equal((await send(app, 'bad')).statusCode, 503)
  await t.rejects(app.multitenant.reloadTemplate('shop'), { code: 'FST_TENANT_TEMPLATE_FAILED', message: /shop/ })
  await t.rejects(app.multitenant.reloadTemplate('nothing'), { code: 'FST_TENANT_TEMPLATE_NOT_FOUND', message: /nothing.*shop/ })
  await writeFile(join(dir, 'index.mjs'), 'export default async () => {}')
  t.match(await app.multitenant.reloadTemplate('shop'), { reloaded: 0, failed: [] })
  t.equal((await send(app, 'bad')).body, 'bad', 'at once')
})

t.test('a template whose folder is deleted keeps serving the tenants that are loaded', async t => {
  const dir = folder(t, { shop: {} })
  const { app } = setUp(t, dir, { a: { template: 'shop' } })
  t.equal((await send(app, 'a')).body, 'a')
  await rm(join(dir, 'shop'), { recursive: true })
  await t.rejects(app.multitenant.reloadTemplate('shop'), { code: 'FST_TENANT_TEMPLATE_NOT_FOUND' })
  t.equal((await send(app, 'a')).body, 'a')
})

t.test('a template that waits for one of its own tenants fails at once', async t => {
  for (const wait of ['init', 'run', 'reload'] as const) {
    const { app, log } = setUp(t, {
      shop: {
        plugin: async scope => {
          const { multitenant } = scope
          await (wait === 'run' ? multitenant.run('bad', () => {}) : multitenant[wait]('bad'))
        }
      }
    }, { plain: {}, bad: { template: 'shop' } })
    await app.ready()
    t.equal((await send(app, 'bad')).statusCode, 503, wait)
    t.match(JSON.stringify(log.of('template failed to load')), /waits for itself/, wait)
    t.equal((await send(app, 'plain')).body, 'plain')
  }
})

t.test('a template that reloads itself while it loads fails at once', async t => {
  const { app, log } = setUp(t, { shop: { plugin: async scope => { await scope.multitenant.reloadTemplate('shop') } } }, { bad: { template: 'shop' } })
  await app.ready()
  t.equal((await send(app, 'bad')).statusCode, 503)
  t.match(JSON.stringify(log.of('template failed to load')), /waits for itself/)
})

t.test('two templates that wait for tenants of each other fail at once', async t => {
  const { app } = setUp(t, {
    one: { plugin: async scope => { await scope.multitenant.init('b') } },
    two: { plugin: async scope => { await scope.multitenant.init('a') } }
  }, { a: { template: 'one' }, b: { template: 'two' } })
  await app.ready()
  const [a, b] = await Promise.all([send(app, 'a'), send(app, 'b')])
  t.same([a?.statusCode, b?.statusCode], [503, 503])
})

t.test('code of a template that closes its own scope or listens does no harm', async t => {
  let closed = 0
  const { app, log } = setUp(t, {
    shop: {
      plugin: async scope => {
        scope.addHook('onClose', async () => { closed++ })
        scope.get('/close', async () => {
          await scope.close()
          await new Promise<void>(resolve => { scope.close(resolve) })
          return 'closed'
        })
        scope.get('/listen', async () => scope.listen({ port: 0 }))
        scope.get('/here', async ({ tenantId }) => tenantId)
      }
    }
  }, { a: { template: 'shop' }, b: { template: 'shop' } })
  t.equal((await send(app, 'a', '/close')).body, 'closed')
  t.match(log.of('the template stays open: its code cannot close a scope that many tenants share'), [{ template: 'shop' }, { template: 'shop' }])
  t.equal((await send(app, 'a', '/listen')).statusCode, 500)
  t.equal((await send(app, 'b', '/here')).body, 'b')
  t.equal((await send(app, 'a', '/here')).body, 'a')
  t.equal(closed, 0)
  await app.close()
  t.equal(closed, 1)
})
