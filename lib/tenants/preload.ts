import type { FastifyInstance } from 'fastify'
import pLimit from 'p-limit'
import { FST_TENANT_NOT_FOUND } from '../errors.ts'
import type { ResolvedOptions } from '../options.ts'
import type { TenantManager } from '../../types/index.ts'

/** How many lines a preload writes. */
const PROGRESS_LINES = 10

/**
 * Loads the tenants that the option names. A tenant that fails is logged and harms nobody else. What takes longer than Fastify
 * gives a hook goes on while the app serves: a request of a tenant that is not loaded yet waits for it as always.
 */
export async function preload (app: FastifyInstance, manager: TenantManager, options: ResolvedOptions): Promise<void> {
  if (options.preload === false) return
  const wanted = options.preload === true ? await manager.list() : options.preload
  const ids = wanted.slice(0, options.maxActive)
  if (ids.length < wanted.length) app.log.warn({ wanted: wanted.length, maxActive: options.maxActive }, 'not all tenants are preloaded')
  const loading = loadAll(app, manager, options, ids)
  const { pluginTimeout = 0 } = app.initialConfig
  if (pluginTimeout === 0) return loading
  await raceTimer(loading, pluginTimeout / 2)
}

async function loadAll (app: FastifyInstance, manager: TenantManager, options: ResolvedOptions, ids: readonly string[]): Promise<void> {
  const step = Math.ceil(ids.length / PROGRESS_LINES)
  const counts = { loaded: 0, failed: 0, missing: 0 }
  let done = 0
  // Each waits for its own load alone, and not in the queue of all, where its time might be up before its turn.
  const limit = pLimit(options.maxLoading)
  await limit.map(ids, async id => {
    const outcome = await loadOne(manager, id)
    counts[outcome]++
    done++
    // Of all tenants, those that are not active are known to be left out.
    if (outcome === 'missing' && options.preload !== true) app.log.warn({ tenantId: id }, 'a tenant that is to be preloaded does not exist, or is not active')
    if (done % step === 0 || done === ids.length) app.log.info({ ...counts, total: ids.length }, 'preloading tenants')
  })
}

async function loadOne (manager: TenantManager, id: string): Promise<'loaded' | 'failed' | 'missing'> {
  try {
    await manager.preload(id)
    return 'loaded'
  } catch (error) {
    // Why a load failed has been logged by the load itself.
    return error instanceof FST_TENANT_NOT_FOUND ? 'missing' : 'failed'
  }
}

async function raceTimer (work: Promise<void>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const time = new Promise<void>(resolve => { timer = setTimeout(resolve, ms) })
  await Promise.race([work, time])
  clearTimeout(timer)
}
