import { setImmediate } from 'node:timers/promises'

/** What a request may be refused with while tenants come and go. */
const REFUSALS = new Set(['FST_TENANT_SUSPENDED', 'FST_TENANT_OVERLOADED', 'FST_TENANT_LOAD_FAILED', 'FST_TENANT_BUSY'])

/** How often each thing is done, out of all that is done. */
const ACTIONS = [
  ['request', 0.94], ['abort', 0.02], ['reload', 0.015], ['unload', 0.005], ['suspend', 0.002], ['resume', 0.013], ['init', 0.005]
]

/** mulberry32: a tiny generator of numbers from 0 to 1 that a seed makes repeatable. */
export function randomNumbers (seed) {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6D2B79F5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}

/**
 * Sends requests to tenants that are loaded, reloaded, evicted, suspended, unloaded and left by their clients at random, and
 * checks that each reply is its own tenant's, of one generation, and made with what is still open.
 *
 * `guard` is what keeps them apart: 'on'; 'shared' for tenants that keep what a request needs in one variable for all; 'no lease'
 * for generations that are closed when they are replaced, whoever still uses them. With the last two the run must find errors.
 */
export async function fuzz ({ Fastify, multitenant, tenants, requests, seed, guard = 'on', concurrency = Math.ceil(tenants / 4) }) {
  const random = randomNumbers(seed)
  const ids = Array.from({ length: tenants }, (_, index) => `tenant-${index}`)
  const maxActive = Math.ceil(tenants / 3)
  const found = { requests: 0, answered: 0, refused: 0, aborted: 0, crossTalk: 0, mixed: 0, usedAfterClose: 0, unexpected: [], mostActive: 0, opened: 0, closed: 0 }
  const world = { random, guard, found, shared: { current: undefined } }

  const app = Fastify()
  app.register(multitenant, { tenants: Object.fromEntries(ids.map(id => [id, defineTenant(id, world)])), maxActive })
  await app.ready()

  const worker = async () => {
    while (found.requests < requests) {
      const id = ids[Math.floor(random() ** 5 * ids.length)]
      try {
        await act(pick(random()), app, id, world)
      } catch (error) {
        if (!REFUSALS.has(error.code)) note(found, `${error.code} ${error.message}`)
      }
    }
  }
  const sampler = setInterval(async () => { found.mostActive = Math.max(found.mostActive, (await app.multitenant.stats({ limit: 0 })).active) }, 50)
  await Promise.all(Array.from({ length: concurrency }, worker))
  clearInterval(sampler)

  const { loads, reloads, evictions } = await app.multitenant.stats({ limit: 0 })
  await app.close()
  if (found.mostActive > maxActive) note(found, `${found.mostActive} tenants were loaded, where ${maxActive} may be`)
  return { ...found, loads, reloads, evictions }
}

function defineTenant (id, { random, guard, found, shared }) {
  let loads = 0
  return {
    config: () => ({ mark: `${id} ${++loads}` }),
    plugin: async (scope, { config }) => {
      const mark = config.mark
      const service = { mark, open: true }
      found.opened++
      scope.addHook('onClose', async () => {
        service.open = false
        found.closed++
      })
      // A load that fails leaves the tenant as it was.
      if (loads > 1 && random() < 0.005) throw new Error('broken at random')
      if (random() < 0.5) await setImmediate()
      scope.decorate('service', service)
      scope.addHook('preHandler', async request => {
        shared.current = service
        request.mark = mark
      })
      scope.decorateRequest('mark', '')
      scope.get('/', async request => {
        const marks = [mark, request.mark, request.tenant.config.mark]
        for (let turn = Math.floor(random() * 8); turn > 0; turn--) await setImmediate()
        const used = guard === 'shared' ? shared.current : scope.service
        return { marks: [...marks, used.mark, request.server.service.mark], open: used.open }
      })
    }
  }
}

async function act (action, app, id, world) {
  const { multitenant } = app
  if (action === 'request') return send(app, id, world)
  if (action === 'abort') return abort(app, id, world)
  if (action === 'init') return multitenant.init(id)
  if (action === 'resume') return multitenant.resume(id)
  const old = multitenant.get(id)
  const done = multitenant[action](id)
  if (world.guard === 'no lease') await old?.app.close()
  await done
}

async function send (app, id, { found }) {
  found.requests++
  const response = await app.inject({ url: '/', headers: { 'x-tenant-id': id } })
  const body = response.json()
  if (response.statusCode !== 200) {
    if (!REFUSALS.has(body.code)) note(found, `${response.statusCode} ${response.body}`)
    found.refused++
    return
  }
  found.answered++
  if (body.marks.some(mark => mark.split(' ')[0] !== id)) found.crossTalk++
  else if (new Set(body.marks).size > 1) found.mixed++
  if (!body.open) found.usedAfterClose++
}

/** A request whose client leaves after a while. */
async function abort (app, id, { found, random }) {
  found.requests++
  const controller = new AbortController()
  const response = app.inject({ url: '/', headers: { 'x-tenant-id': id }, signal: controller.signal }).catch(() => {})
  for (let turn = Math.floor(random() * 8); turn > 0; turn--) await setImmediate()
  controller.abort()
  found.aborted++
  await response
}

function note (found, error) {
  if (found.unexpected.length < 20) found.unexpected.push(error)
}

function pick (number) {
  for (const [action, share] of ACTIONS) {
    number -= share
    if (number < 0) return action
  }
  return 'request'
}
