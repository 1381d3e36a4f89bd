import type { FastifyInstance } from 'fastify'
import pLimit from 'p-limit'
import type { TenantManager } from './manager.ts'
import type { ResolvedOptions } from '../options.ts'

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
  let loaded = 0
  let failed = 0
  // Each waits for its own load alone, and not in the queue of all, where its time might be up before its turn.
  const limit = pLimit(options.maxLoading)
  await limit.map(ids, async id => {
    try {
      await manager.preload(id)
      loaded++
    } catch {
      // The load itself has logged why.
      failed++
    }
    if ((loaded + failed) % step === 0 || loaded + failed === ids.length) app.log.info({ loaded, failed, total: ids.length }, 'preloading tenants')
  })
}

async function raceTimer (work: Promise<void>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const time = new Promise<void>(resolve => { timer = setTimeout(resolve, ms) })
  await Promise.race([work, time])
  clearTimeout(timer)
}
