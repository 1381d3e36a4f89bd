import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { appWith, Door, Events, LogLines, refusal, send } from '../fixtures/lifecycle/app.ts'
import type { FastifyInstance } from 'fastify'
import type { MultitenantOptions } from '../../index.ts'

interface SetUp { app: FastifyInstance, id: string, dir: string, log: LogLines, events: Events }

/** An app with one tenant in a folder, which is loaded. */
async function setUp (t: Test, options: MultitenantOptions = {}): Promise<SetUp> {
  const id = `acme-${randomUUID()}`
  const dir = t.testdir({ tenants: { [id]: { 'config.json': '{ "plan": "gold" }' } }, elsewhere: {} })
  const log = new LogLines()
  const events = new Events(t)
  const app = appWith(t, join(dir, 'tenants'), options, log.server)
  app.get('/', async ({ tenantId }) => tenantId)
  await app.ready()
  await app.multitenant.init(id)
  return { app, id, dir, log, events }
}

t.test('a reload unloads a tenant whose folder was deleted, and the tenant is unknown then', async t => {
  const { app, id, dir, events } = await setUp(t)
  await rm(join(dir, 'tenants', id), { recursive: true })
  t.equal((await send(app, id)).statusCode, 200, 'nobody has looked yet')
  const drained = events.next('drain')
  await t.rejects(app.multitenant.reload(id), { code: 'FST_TENANT_NOT_FOUND' })
  t.match(await drained, { id, drained: true })
  t.equal(app.multitenant.get(id), null)
  t.same(refusal(await send(app, id)), [404, 'FST_TENANT_NOT_FOUND'])
})

t.test('the requests of a deleted tenant finish first', async t => {
  const { app, id, dir, events } = await setUp(t)
  const door = new Door()
  const job = app.multitenant.run(id, async () => {
    await door.pass()
    return 'done'
  })
  await door.reached
  await rm(join(dir, 'tenants', id), { recursive: true })
  await t.rejects(app.multitenant.reload(id), { code: 'FST_TENANT_NOT_FOUND' })
  t.same(refusal(await send(app, id)), [404, 'FST_TENANT_NOT_FOUND'])
  t.same(events.of('drain'), [])
  const drained = events.next('drain')
  door.open()
  t.equal(await job, 'done')
  t.match(await drained, { id, drained: true })
})

t.test('with `watch`, a tenant is unloaded when its folder is deleted, and loads again when the folder is back', async t => {
  const { app, id, dir, log, events } = await setUp(t, { watch: true })
  const [told, drained] = [log.next('tenant unloaded: its source no longer knows it, or its config makes it inactive'), events.next('drain')]
  await rm(join(dir, 'tenants', id), { recursive: true })
  t.match(await told, { level: 30, tenantId: id })
  await drained
  t.same(refusal(await send(app, id)), [404, 'FST_TENANT_NOT_FOUND'])
  await mkdir(join(dir, 'tenants', id))
  await writeFile(join(dir, 'tenants', id, 'config.json'), '{}')
  t.equal((await app.multitenant.init(id)).id, id)
})

t.test('a broken symbolic link is not a tenant, even if its folder has not changed', async t => {
  const { app, id, dir } = await setUp(t)
  const linked = `globex-${randomUUID()}`
  await mkdir(join(dir, 'elsewhere', linked))
  await symlink(join(dir, 'elsewhere', linked), join(dir, 'tenants', linked))
  await app.multitenant.init(linked)
  await rename(join(dir, 'elsewhere', linked), join(dir, 'elsewhere', 'gone'))
  await t.rejects(app.multitenant.reload(linked), { code: 'FST_TENANT_NOT_FOUND' })
  t.same(refusal(await send(app, linked)), [404, 'FST_TENANT_NOT_FOUND'])
  t.equal((await send(app, id)).statusCode, 200)
})
