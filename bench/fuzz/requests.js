import { FORMS, REQUEST_HOOKS, hasHooks } from './tenants.js'

/** How often each kind of request is sent. */
const KINDS = { own: 36, shared: 14, body: 12, stream: 8, log: 6, failing: 6, missing: 4, unknown: 5, invalid: 2, public: 3, page: 4 }

/** A request may be refused with these while tenants come and go. */
const REFUSALS = new Set(['FST_TENANT_SUSPENDED', 'FST_TENANT_OVERLOADED', 'FST_TENANT_LOAD_FAILED', 'FST_TENANT_BUSY', 'FST_TENANT_LOAD_TIMEOUT', 'FST_TENANT_CLOSED'])

const INVALID = ['../etc', 'tenant 1', '-', 'a'.repeat(64), '%00', 'ten/ant']

/** A random request, as both protocols can send it. */
export function makeRequest (chance, action, world, host) {
  let kind = chance.weighted(KINDS)
  if (kind === 'page' && !world.has('routes with their own identify')) kind = 'shared'
  const index = pickTenant(chance, action, world)
  if (kind === 'failing' && !hasHooks(index)) kind = 'own'
  const id = kind === 'unknown' ? `nobody-${chance.below(1e6)}` : kind === 'invalid' ? chance.oneOf(INVALID) : `tenant-${index}`
  const headers = { 'x-tenant-id': id, 'x-turns': String(chance.below(6)), 'x-action': String(action) }
  const request = { kind, id, index, action, method: 'GET', url: `/${kind}?n=${action}`, headers, body: '', host, suspended: host.suspensions.get(id) }
  return SHAPES[kind]?.(request, chance) ?? request
}

/**
 * Most requests are for some tenants that are in fashion, others for any: loads are dear, and a run is to send many requests. The
 * fashion moves on by one tenant every 50 actions.
 */
export function pickTenant (chance, action, { tenants, maxActive }) {
  if (chance.happens(0.03)) return chance.below(tenants)
  return (Math.floor(action / 50) + Math.floor(chance.number() ** 2 * maxActive * 0.6)) % tenants
}

const SHAPES = {
  public: request => ({ ...request, id: undefined }),
  missing: request => ({ ...request, url: `/nothing?n=${request.action}` }),
  unknown: request => ({ ...request, url: `/own?n=${request.action}` }),
  invalid: request => ({ ...request, url: `/own?n=${request.action}` }),
  page: ({ headers: { 'x-tenant-id': id, ...headers }, ...request }) => ({ ...request, url: `/page/secret?tenant=${id}&n=${request.action}`, headers }),
  body: (request, chance) => {
    const body = JSON.stringify({ from: request.id, text: 'x'.repeat(chance.below(3) * 2000) })
    return { ...request, method: 'POST', headers: { ...request.headers, 'content-type': 'application/json', 'content-length': String(body.length) }, body }
  },
  failing: (request, chance) => ({ ...request, url: `/own?n=${request.action}`, headers: { ...request.headers, 'x-fail': chance.oneOf(REQUEST_HOOKS), 'x-form': chance.oneOf(FORMS) } })
}

/** Checks that a reply is this tenant's and no other's, and one that this request may have; of one that is `partial` only the first. */
export function checkReply (request, reply, world, partial = false) {
  const { findings } = world
  const note = (kind, why) => findings.note(kind, request.action, `${why}: ${describe(request)} got ${reply.status} ${JSON.stringify(reply.headers)} ${reply.body.slice(0, 400)}`)
  const others = marksOf(JSON.stringify(reply.headers) + reply.body).filter(mark => mark.split('#')[0] !== request.id)
  if (others.length > 0) return note('crossTalk', `marks of ${others[0]}`)
  const generations = new Set(marksOf(reply.body).concat(marksOf(reply.headers['x-mark'] ?? '')).filter(mark => mark.includes('#')))
  if (generations.size > 1) return note('mixed', [...generations].join(' and '))
  if (partial) return

  const body = reply.headers['content-type']?.startsWith('application/json') ? JSON.parse(reply.body) : {}
  const refused = REFUSALS.has(body.code)
  const { suspended } = request
  if (suspended !== undefined && !refused && suspended === request.host.suspensions.get(request.id) && reply.status < 400 && request.kind !== 'public') return note('suspendedServed', 'suspended')
  if (refused && request.kind !== 'unknown' && request.kind !== 'invalid' && request.kind !== 'public') {
    world.counts.refused++
    return
  }
  const wrong = EXPECTED[request.kind](reply, body, request)
  if (wrong !== undefined) return note(wrong, 'not expected')
  world.counts.answered++
}

/** The kind of error that a reply is; `undefined` where it is right. */
const EXPECTED = {
  own: byTenant,
  body: (reply, body, request) => byTenant(reply, body) ?? (JSON.stringify(body.body) === request.body ? undefined : 'crossTalk'),
  log: byTenant,
  stream: ({ status, body }) => status === 200 && body.split('\n').length === 6 ? undefined : 'wrongReply',
  shared: byApp,
  public: byApp,
  page: byApp,
  missing: ({ status }, { by }) => status === 404 || by === 'tenant' ? undefined : 'wrongReply',
  unknown: ({ status }, { code }) => status === 404 && code === 'FST_TENANT_NOT_FOUND' ? undefined : 'wrongDoor',
  invalid: ({ status }, { code }) => status === 400 && code === 'FST_TENANT_INVALID_ID' ? undefined : 'wrongDoor',
  failing: ({ status, body }, { by }, { headers }) => by === 'tenant' || status >= 500 || body.includes(headers['x-fail']) ? undefined : 'wrongReply'
}

function byTenant ({ status }, { by }) {
  if (status !== 200) return 'wrongReply'
  return by === 'tenant' ? undefined : 'wrongDoor'
}

function byApp ({ status }, { by }) {
  if (status !== 200) return 'wrongReply'
  return by === 'app' ? undefined : 'wrongDoor'
}

/** The ids and marks of tenants in a text. */
export function marksOf (text) {
  return text.match(/tenant-\d+(#\d+)?/g) ?? []
}

export function describe ({ method, url, headers }) {
  return `${method} ${url} ${JSON.stringify(headers)}`
}
