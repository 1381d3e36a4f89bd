import { join } from 'node:path'
import t from 'tap'
import { appWith, LogLines } from '../fixtures/lifecycle/app.ts'

const disposed: string[] = []
Object.assign(globalThis, { disposed })

const SERVICES = {
  'a-sync.js': "export default () => ({ [Symbol.dispose]: () => { globalThis.disposed.push('sync') } })",
  'b-async.js': "export default () => ({ [Symbol.asyncDispose]: async () => { globalThis.disposed.push('async') }, [Symbol.dispose]: () => { throw new Error('not called') } })",
  'c-plain.js': 'export default () => 7',
  'd-broken.js': "export default () => ({ [Symbol.dispose]: () => { throw new Error('cannot be disposed of') } })"
}

for (const kind of ['tenant', 'template']) {
  t.test(`the services of a ${kind} are disposed of when the tenant has closed, the last one first, whatever one of them throws`, async t => {
    const dir = t.testdir({ 'package.json': '{"type":"module"}', own: { services: { ...SERVICES } }, templates: { own: { services: { ...SERVICES } } } })
    const log = new LogLines()
    const definition = kind === 'tenant' ? { dir: join(dir, 'own') } : { template: 'own' }
    const app = appWith(t, { acme: definition }, { templates: join(dir, 'templates') }, log.server)
    await app.ready()
    for (const ending of [() => app.multitenant.unload('acme'), async () => (await app.multitenant.reload('acme')).drain, () => app.close()]) {
      await app.multitenant.init('acme')
      disposed.length = 0
      await ending()
      t.same(disposed, ['async', 'sync'])
    }
    t.match(log.of('tenant failed to close'), [{ tenantId: 'acme', err: { message: 'cannot be disposed of' } }, {}, {}])
  })
}
