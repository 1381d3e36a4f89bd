import Fastify from 'fastify'
import t from 'tap'
import type { FastifyInstance } from 'fastify'
import { prepareToFree } from '../../lib/fastify/after-boot.ts'
import { closurePartsOf } from '../../lib/fastify/closure-parts.ts'
import { Internals } from '../../lib/fastify/internals.ts'
import { routerOf } from '../../lib/fastify/router.ts'

/** Starts an app with nested plugins and routes of each kind of node. */
async function started (fill: (app: FastifyInstance) => void = () => {}) {
  const app = Fastify()
  app.decorateRequest('any')
  const internals = new Internals(app)
  const router = routerOf(app, internals)
  const { boot } = closurePartsOf(app, internals)
  const free = prepareToFree(app, router, internals)
  app.register(async function outer (scope) {
    scope.register(async function inner (child) { child.get('/static', async () => 'static') })
    scope.get('/one/:id', async request => request.params)
    scope.get('/one/:id/two', { constraints: { host: 'a.test' } }, async () => 'constrained')
    scope.post('/files/*', async request => request.params)
  })
  fill(app)
  await app.ready()
  return { app, boot, router, free }
}

t.test('a root whose memory has been freed has the same routes, plugins and life cycle', async t => {
  const ran: string[] = []
  const { app, free } = await started(app => { app.addHook('onClose', async () => { ran.push('hook') }) })
  const before = [app.printPlugins(), app.printRoutes()]
  free()
  t.same([app.printPlugins(), app.printRoutes()], before)
  t.match(before[0], /outer[^]*inner/)

  t.equal((await app.inject('/static')).body, 'static')
  t.same((await app.inject('/one/1')).json(), { id: '1' })
  t.equal((await app.inject({ url: '/one/1/two', headers: { host: 'a.test' } })).body, 'constrained')
  t.equal((await app.inject('/one/1/two')).statusCode, 404)
  t.same((await app.inject({ method: 'POST', url: '/files/a/b' })).json(), { '*': 'a/b' })

  t.equal(await app.ready(), app)
  await new Promise<void>(resolve => app.ready(() => resolve()))
  t.throws(() => app.register(async () => {}), { message: /Root plugin has already booted/ })
  t.throws(() => app.get('/late', async () => ''), { code: 'FST_ERR_INSTANCE_ALREADY_LISTENING' })
  const { onClose } = app as unknown as { onClose: (hook: () => Promise<void>) => void }
  onClose(async () => { ran.push('late') })
  await app.close()
  t.same(ran, ['late', 'hook'])
})

t.test('the state of the boot is freed, and the arrays of the routes are copied', async t => {
  const { boot, router, free, app } = await started()
  t.teardown(() => app.close())
  const before = { ...boot, nodes: Object.values(router.trees).map(tree => Reflect.get(tree, 'staticChildrenNodes')) }
  t.ok(before._lastUsed)
  t.ok('killAndDrain' in boot._readyQ && 'killAndDrain' in boot._closeQ)
  free()
  t.equal(boot._lastUsed, null)
  t.not(boot._doStart, before._doStart)
  t.not(boot.pluginTree, before.pluginTree)
  t.notOk('killAndDrain' in boot._readyQ || 'killAndDrain' in boot._closeQ)
  const nodes = Object.values(router.trees).map(tree => Reflect.get(tree, 'staticChildrenNodes'))
  t.same(nodes.map((_, index) => nodes[index] === before.nodes[index]), nodes.map(() => false))
})

t.test('the boot object of another avvio is left as it is', async t => {
  const { app, boot, free } = await started()
  const { _lastUsed: lastUsed, pluginTree } = boot
  boot.pluginTree = undefined as never
  free()
  t.equal(boot._lastUsed, lastUsed)
  boot.pluginTree = pluginTree
  await app.close()
})
