import { randomUUID } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setInterval } from 'node:timers/promises'
import t from 'tap'
import { appOf, send } from '../fixtures/templates/app.ts'
import { call, Door, listen, LogLines, MemorySource, until } from '../fixtures/lifecycle/app.ts'
import type { Test } from 'tap'
import type { InlineTemplate } from '../../index.ts'

/** A template that answers with the number of its generation, and counts those that are closed. */
class Versions {
  readonly closed: number[] = []
  readonly door: Door | undefined
  /** The error of the next loads. */
  failure: Error | undefined
  loads = 0

  constructor (door?: Door) {
    this.door = door
  }

  readonly template: InlineTemplate = {
    plugin: async (scope, { template: { generation } }) => {
      this.loads++
      if (this.failure !== undefined) throw this.failure
      scope.addHook('onClose', async () => { this.closed.push(generation) })
      scope.get('/', async ({ tenantId }) => `${tenantId} ${generation}`)
      scope.get('/slow', async ({ tenantId }) => {
        await this.door?.pass()
        return `${tenantId} ${generation}`
      })
    }
  }
}

t.test('builds a new generation beside the old one, which is closed when its last tenant has left it', async t => {
  const door = new Door()
  const versions = new Versions(door)
  const app = appOf(t, { shop: versions.template }, { a: { template: 'shop' }, b: { template: 'shop' }, other: {} })
  for (const id of ['a', 'b']) t.equal((await send(app, id)).body, `${id} 1`)
  const slow = send(app, 'a', '/slow')
  await door.reached
  const { drain, ...report } = await app.multitenant.reloadTemplate('shop')
  t.same(report, { generation: 2, reloaded: 2, failed: [] })
  for (const id of ['a', 'b']) t.equal((await send(app, id)).body, `${id} 2`)
  t.same(versions.closed, [])
  t.match(await app.multitenant.stats(), { active: 2, templates: [{ name: 'shop', generation: 2, state: 'active', tenants: 2, draining: 1 }] })
  door.open()
  t.equal((await slow).body, 'a 1', 'a running request ends where it began')
  t.equal(await drain, null)
  t.same(versions.closed, [1])
  t.match(await app.multitenant.stats(), { templates: [{ tenants: 2, draining: 0 }] })
  await app.close()
  t.same(versions.closed, [1, 2])
})

t.test('drops no request under load', async t => {
  const versions = new Versions()
  const ids = ['a', 'b', 'c', 'd']
  const app = appOf(t, { shop: versions.template }, Object.fromEntries(ids.map(id => [id, { template: 'shop', ...(id === 'd' && { plugin: async () => {} }) }])))
  const url = await listen(app)
  const state = { isOver: false }
  let count = 0
  const clients = ids.map(async id => {
    let last = 0
    while (!state.isOver) {
      const answer = await call(url, id)
      const [tenant, generation] = (await answer.text()).split(' ')
      if (answer.status !== 200 || tenant !== id || Number(generation) < last) throw new Error(`${id} got ${answer.status} of ${tenant} ${generation} after ${last}`)
      last = Number(generation)
      count++
    }
  })
  await until(() => count > 8, 1_000_000)
  for (let reload = 2; reload <= 6; reload++) {
    const before = count
    t.match(await app.multitenant.reloadTemplate('shop'), { generation: reload, failed: [] })
    await until(() => count > before + 8, 1_000_000)
  }
  state.isOver = true
  await Promise.all(clients)
  await until(() => versions.closed.length === 5)
  t.same(versions.closed, [1, 2, 3, 4, 5])
})

t.test('rebuilds tenants with code of their own; one that fails stays on the old generation', async t => {
  const versions = new Versions()
  let isBroken = false
  const app = appOf(t, { shop: versions.template }, {
    good: { template: 'shop', plugin: async scope => { scope.get('/own', async () => 'own') } },
    bad: { template: 'shop', plugin: async () => { if (isBroken) throw new Error('broken') } },
    plain: { template: 'shop' }
  })
  for (const id of ['good', 'bad', 'plain']) t.equal((await send(app, id)).body, `${id} 1`)
  isBroken = true
  const { drain, ...report } = await app.multitenant.reloadTemplate('shop')
  t.same(report, { generation: 2, reloaded: 2, failed: ['bad'] })
  t.equal((await send(app, 'good')).body, 'good 2')
  t.equal((await send(app, 'good', '/own')).body, 'own')
  t.equal((await send(app, 'plain')).body, 'plain 2')
  t.equal((await send(app, 'bad')).body, 'bad 1')
  t.same(versions.closed, [])
  t.match(await app.multitenant.stats(), { templates: [{ generation: 2, tenants: 2, draining: 1 }] })
  isBroken = false
  t.match(await app.multitenant.reload('bad'), { generation: 3 })
  t.equal((await send(app, 'bad')).body, 'bad 2')
  await drain
  t.same(versions.closed, [1])
})

t.test('a template that fails leaves everything as it was', async t => {
  const versions = new Versions()
  const log = new LogLines()
  const app = appOf(t, { shop: versions.template }, { a: { template: 'shop' } }, {}, log.server)
  await send(app, 'a')
  versions.failure = new Error('broken')
  await t.rejects(app.multitenant.reloadTemplate('shop'), { code: 'FST_TENANT_TEMPLATE_FAILED' })
  t.equal((await send(app, 'a')).body, 'a 1')
  t.equal(app.multitenant.get('a')?.generation, 1, 'its tenants are not rebuilt')
  t.match(log.of('template failed to reload: the old generation keeps serving'), [{ template: 'shop' }])
  t.match(await app.multitenant.stats(), { templates: [{ state: 'active', generation: 1, lastError: 'broken' }] })
  versions.failure = undefined
  await app.multitenant.reloadTemplate('shop')
  t.equal((await send(app, 'a')).body, 'a 3')
  t.match(await app.multitenant.stats(), { templates: [{ lastError: null }] })
})

t.test('concurrent reloads share a build, and all tenants end on the last generation', async t => {
  const versions = new Versions()
  const app = appOf(t, { shop: versions.template }, { a: { template: 'shop' }, b: { template: 'shop' } })
  await send(app, 'a')
  await send(app, 'b')
  const reports = await Promise.all([1, 2, 3, 4].map(() => app.multitenant.reloadTemplate('shop')))
  t.same(reports.map(({ generation }) => generation), [2, 3, 3, 3])
  t.equal(versions.loads, 3)
  for (const id of ['a', 'b']) t.equal((await send(app, id)).body, `${id} 3`)
  await Promise.all(reports.map(({ drain }) => drain))
  t.same(versions.closed.sort(), [1, 2])
})

t.test('a tenant that is being loaded meanwhile ends on the new generation', async t => {
  const versions = new Versions()
  const door = new Door()
  const app = appOf(t, { shop: versions.template }, { a: { template: 'shop', plugin: () => door.pass() } })
  await app.ready()
  const loading = send(app, 'a')
  await door.reached
  const reloading = app.multitenant.reloadTemplate('shop')
  await until(() => versions.loads === 2)
  door.open()
  t.match(await reloading, { generation: 2, reloaded: 1, failed: [] })
  t.match((await loading).body, /^a [12]$/)
  t.equal((await send(app, 'a')).body, 'a 2')
})

t.test('a tenant that its source has lost counts neither as reloaded nor as failed', async t => {
  const versions = new Versions()
  const source = new MemorySource({ a: { template: 'shop' }, gone: { template: 'shop' }, moved: { template: 'shop' } })
  const app = appOf(t, { shop: versions.template, other: {} }, source)
  for (const id of ['a', 'gone', 'moved']) await send(app, id)
  source.tenants.delete('gone')
  source.tenants.set('moved', { template: 'other' })
  const { drain, ...report } = await app.multitenant.reloadTemplate('shop')
  t.same(report, { generation: 2, reloaded: 1, failed: [] })
  t.equal(app.multitenant.get('gone'), null)
  t.equal(app.multitenant.get('moved')?.template, 'other')
  await drain
})

t.test('a template that no tenant has named is loaded, and has nothing to drain', async t => {
  const app = appOf(t, { shop: new Versions().template }, {})
  await app.ready()
  const { drain, ...report } = await app.multitenant.reloadTemplate('shop')
  t.same(report, { generation: 1, reloaded: 0, failed: [] })
  t.equal(await drain, null)
})

/** A folder of templates at a path from which no module was imported before, with one template. */
async function folderOf (t: Test): Promise<{ templates: string, write: (text: string) => Promise<void> }> {
  const templates = join(t.testdir({}), randomUUID())
  const routes = join(templates, 'shop', 'routes')
  await mkdir(routes, { recursive: true })
  const write = (text: string): Promise<void> => writeFile(join(routes, 'index.mjs'), `export default async app => { app.get('/', async () => '${text}') }`)
  await write('old')
  return { templates, write }
}

t.test('reads the code again, unless code is false', async t => {
  const { templates, write } = await folderOf(t)
  const app = appOf(t, templates, { a: { template: 'shop' } })
  t.equal((await send(app, 'a')).body, 'old')
  await write('new')
  await app.multitenant.reloadTemplate('shop', { code: false })
  t.equal((await send(app, 'a')).body, 'old')
  await app.multitenant.reloadTemplate('shop')
  t.equal((await send(app, 'a')).body, 'new')
})

t.test('watch reloads a template when its folder changes', async t => {
  const { templates, write } = await folderOf(t)
  const log = new LogLines()
  const app = appOf(t, templates, { a: { template: 'shop' } }, { watch: true }, log.server)
  t.equal((await send(app, 'a')).body, 'old')
  const reloaded = log.next('template reloaded')
  let isNoticed = false
  reloaded.then(() => { isNoticed = true }, t.fail)
  // Nothing reports that a folder is watched.
  for await (const text of setInterval(300, 'new')) {
    if (isNoticed) break
    await write(text)
  }
  t.match(await reloaded, { template: 'shop', reloaded: 1, failed: 0 })
  t.equal((await send(app, 'a')).body, 'new')
  const failed = log.next('template not reloaded')
  await write("'; broken")
  t.match(await failed, { template: 'shop' })
  t.equal((await send(app, 'a')).body, 'new')
})
