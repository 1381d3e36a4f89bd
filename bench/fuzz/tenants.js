import { Readable } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import websocket from '@fastify/websocket'
import { Chance } from './random.js'

/** The hooks of a request, in the order in which they run. */
export const REQUEST_HOOKS = ['onRequest', 'preParsing', 'preValidation', 'preHandler', 'preSerialization', 'onError', 'onSend', 'onResponse', 'onRequestAbort']

/** How a hook fails. */
export const FORMS = ['thrown', 'value', 'callback']

const CLOSE_FORMS = [
  instance => { throw new Error(`closing ${instance.mark}`) },
  (instance, done) => { throw new Error(`closing ${instance.mark}`) },
  (instance, done) => { done(new Error(`closing ${instance.mark}`)) },
  async instance => { throw new Error(`closing ${instance.mark}`) },
  () => { throw 'a value' } // eslint-disable-line no-throw-literal
]

export const hasWebSocket = index => index % 4 === 1
export const hasHooks = index => index % 3 === 2
export const hasWildcard = index => index % 5 === 2
const failsToClose = index => index % 6 === 4

/** Tenant number `index`, all of whose replies, headers and log lines carry its mark: its id and how often it has been loaded. */
export function defineTenant (index, world) {
  const id = `tenant-${index}`
  let loads = 0
  return {
    config: () => ({ mark: `${id}#${++loads}` }),
    plugin: async (scope, { config: { mark } }) => {
      const chance = new Chance(world.seed, index, loads)
      const service = { mark, open: true }
      scope.decorate('mark', mark)
      scope.decorate('service', service)
      scope.addHook('onClose', async () => { service.open = false })
      if (world.has('throwing closes') && failsToClose(index)) addFailingCloses(scope, chance)
      // A load that fails leaves the tenant as it was.
      if (loads > 1 && chance.happens(0.01)) throw new Error(`broken load of ${mark}`)
      if (chance.happens(0.5)) await setImmediate()
      if (hasWebSocket(index)) await addWebSocket(scope, mark)
      if (hasHooks(index)) REQUEST_HOOKS.forEach(name => scope.addHook(name, failingHook(name, id)))
      addRoutes(scope, { index, mark, service, world })
    }
  }
}

function addFailingCloses (scope, chance) {
  scope.addHook('onClose', chance.oneOf(CLOSE_FORMS))
  // preClose hooks are given no instance.
  const { mark } = scope
  scope.addHook('preClose', chance.oneOf([
    () => { throw new Error(`ending ${mark}`) },
    done => { throw new Error(`ending ${mark}`) },
    done => done(new Error(`ending ${mark}`)),
    async () => { throw new Error(`ending ${mark}`) }
  ]))
}

/** A hook that fails when the request asks for it. */
function failingHook (name, id) {
  return (request, ...others) => {
    const done = others.at(-1)
    if (request.headers['x-fail'] !== name) return done()
    const error = new Error(`${name} of ${id}`)
    if (request.headers['x-form'] === 'callback') return done(error)
    throw request.headers['x-form'] === 'value' ? error.message : error
  }
}

async function addWebSocket (scope, mark) {
  await scope.register(websocket)
  scope.get('/ws', { websocket: true }, socket => {
    socket.on('error', () => {})
    socket.send(mark)
  })
}

function addRoutes (scope, { index, mark, service, world }) {
  scope.decorateRequest('mark', '')
  scope.addHook('preHandler', async request => {
    world.lastService = service
    request.mark = mark
  })
  scope.addHook('onSend', async (_request, reply) => { reply.header('x-mark', mark) })

  const answer = async request => {
    await turns(request.headers['x-turns'])
    const used = world.serviceOf(service)
    checkOpen(used, request, world)
    return { by: 'tenant', marks: [mark, request.mark, request.tenant.config.mark, used.mark, request.server.service.mark], url: request.url, body: request.body }
  }
  scope.get('/own', answer)
  scope.post('/body', answer)
  scope.get('/page/secret', answer)
  if (hasWildcard(index)) scope.get('/*', answer)
  scope.get('/log', async request => {
    request.log.info({ mark }, 'a line of the tenant')
    return answer(request)
  })
  scope.get('/stream', (request, reply) => {
    reply.type('text/plain').send(Readable.from(chunks(request, service, world)))
  })
}

async function * chunks (request, service, world) {
  for (let chunk = 0; chunk < 5; chunk++) {
    await turns(request.headers['x-turns'])
    checkOpen(service, request, world)
    yield `${service.mark}\n`
  }
}

function checkOpen ({ open, mark }, request, world) {
  if (open || (request.raw.destroyed && !world.has('handlers after aborts'))) return
  world.findings.note('usedAfterClose', request.headers['x-action'], `${request.method} ${request.url} used ${mark}${request.raw.destroyed ? ', its client had left' : ''}`)
}

async function turns (count) {
  for (let turn = Number(count ?? 0); turn > 0; turn--) await setImmediate()
}
