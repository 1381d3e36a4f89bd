import { setImmediate } from 'node:timers/promises'
import { checkReply, makeRequest, pickTenant } from './requests.js'

const ACTIONS = { reload: 25, unload: 10, suspend: 8, resume: 30, init: 7, run: 20 }

/** What a call may be refused with: as a request, or because a load failed as it was told to. */
const REFUSALS = new Set(['FST_TENANT_SUSPENDED', 'FST_TENANT_OVERLOADED', 'FST_TENANT_LOAD_FAILED', 'FST_TENANT_BUSY', 'FST_TENANT_CLOSED', 'FST_TENANT_LOAD_TIMEOUT'])

/** One call to the manager of an app. */
export async function manage (chance, action, world, host) {
  const { app: { multitenant }, suspensions, resumes } = host
  const id = `tenant-${pickTenant(chance, action, world)}`
  const name = chance.weighted(ACTIONS)
  world.counts[name]++
  try {
    if (name === 'run') return await runJob(multitenant, id, chance, action, world)
    if (name === 'resume') {
      suspensions.delete(id)
      resumes.set(id, (resumes.get(id) ?? 0) + 1)
      return multitenant.resume(id)
    }
    const before = resumes.get(id)
    await multitenant[name](id)
    // Where it was resumed meanwhile, nobody can say which came last.
    if (name === 'suspend' && resumes.get(id) === before) suspensions.set(id, Symbol(id))
  } catch (error) {
    if (!REFUSALS.has(error.code)) world.findings.note('wrongReply', action, `${name} of ${id}: ${error.stack}`)
  }
}

async function runJob (multitenant, id, chance, action, world) {
  await multitenant.run(id, async tenant => {
    for (let turn = chance.below(8); turn > 0; turn--) await setImmediate()
    const { mark, open } = tenant.app.service
    if (mark.split('#')[0] !== id) world.findings.note('crossTalk', action, `a job of ${id} with ${mark}`)
    if (!open) world.findings.note('usedAfterClose', action, `a job of ${id} used ${mark}`)
  })
}

/** One request without a socket, whose client may leave. */
export async function inject (chance, action, world, host) {
  const request = makeRequest(chance, action, world, host)
  const controller = new AbortController()
  const leaves = chance.happens(0.1)
  world.counts.requests++
  const answer = host.app.inject({ method: request.method, url: request.url, headers: request.headers, payload: request.body, signal: controller.signal })
  if (leaves) {
    world.counts.aborted++
    answer.catch(() => {})
    for (let turn = chance.below(8); turn > 0; turn--) await setImmediate()
    controller.abort()
  }
  try {
    const { statusCode, headers, body } = await answer
    checkReply(request, { status: statusCode, headers, body }, world)
  } catch (error) {
    if (!leaves && request.kind !== 'failing') world.findings.note('wrongReply', action, `inject: ${error.stack}`)
  }
}
