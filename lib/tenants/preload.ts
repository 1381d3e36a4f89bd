import type { FastifyInstance } from 'fastify'
import pLimit from 'p-limit'
import { FST_TENANT_NOT_FOUND, FST_TENANT_OVERLOADED } from '../errors.ts'
import { withDeadline } from '../utils/deadline.ts'
import type { EvictionPolicy } from './eviction-policy.ts'
import type { ResolvedOptions } from '../options.ts'
import type { TenantManager } from '../../types/index.ts'

/** A preload logs at most this many progress lines. */
const PROGRESS_LINES = 10

/**
 * Loads the tenants of the `preload` option. A tenant that fails does not stop the others. Fastify limits the duration of the
 * onReady hook, so a long preload goes on while the app serves. A request for a tenant that is not loaded yet waits for its load, as always.
 */
export async function preload (app: FastifyInstance, manager: TenantManager, options: ResolvedOptions, evictionPolicy: EvictionPolicy): Promise<void> {
  if (options.preload === false) return
  const wanted = options.preload === true ? await manager.list() : options.preload
  const loading = loadAll(app, manager, options, wanted, evictionPolicy)
  const { pluginTimeout = 0 } = app.initialConfig
  if (pluginTimeout === 0) return loading
  // Only the deadline rejects: loadOne() catches the errors of loads.
  await withDeadline(loading, pluginTimeout / 2, () => new Error('The preload goes on in the background')).catch(() => {})
}

async function loadAll (app: FastifyInstance, manager: TenantManager, options: ResolvedOptions, ids: readonly string[], evictionPolicy: EvictionPolicy): Promise<void> {
  const { evictions } = evictionPolicy
  const step = Math.ceil(ids.length / PROGRESS_LINES)
  const counts = { loaded: 0, failed: 0, missing: 0, refused: 0 }
  let done = 0
  // The load queue would count the time in the queue against loadTimeout, so tenants wait here instead.
  const limit = pLimit(options.maxLoading)
  await limit.map(ids, async id => {
    // No place is left: a further load would evict a tenant that has just been loaded.
    if (counts.refused > 0 || evictionPolicy.evictions > evictions) return
    const outcome = await loadOne(manager, id)
    counts[outcome]++
    done++
    // With `preload: true` a tenant may be missing only because its config makes it inactive.
    if (outcome === 'missing' && options.preload !== true) app.log.warn({ tenantId: id }, 'a tenant of the preload option does not exist or is not active')
    if (done % step === 0 || done === ids.length) app.log.info({ ...counts, total: ids.length }, 'preloading tenants')
  })
  const evicted = evictionPolicy.evictions - evictions
  if (counts.refused + evicted > 0) app.log.warn({ wanted: ids.length, preloaded: counts.loaded - evicted, maxActive: options.maxActive, maxResident: options.maxResident }, 'not all tenants are preloaded')
}

async function loadOne (manager: TenantManager, id: string): Promise<'loaded' | 'failed' | 'missing' | 'refused'> {
  try {
    await manager.preload(id)
    return 'loaded'
  } catch (error) {
    if (error instanceof FST_TENANT_OVERLOADED) return 'refused'
    // The loader has logged why the load failed.
    return error instanceof FST_TENANT_NOT_FOUND ? 'missing' : 'failed'
  }
}
