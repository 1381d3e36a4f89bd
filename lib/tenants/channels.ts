import { channel } from 'node:diagnostics_channel'
import type { DrainReport } from '../../types/index.ts'

/**
 * What happens to tenants, for whoever traces it: https://nodejs.org/api/diagnostics_channel.html.
 * Each message has the `id` of the tenant and the number of the `generation`.
 */
const channels = {
  /** A tenant was loaded; `ms` is how long it took. */
  load: channel('fastify-multitenant:load'),
  /** A new generation serves; `ms` is how long it took. */
  reload: channel('fastify-multitenant:reload'),
  /** A tenant was unloaded because it was idle. */
  evict: channel('fastify-multitenant:evict'),
  /** A generation is closed; `drained` and `forced` are as in its report. */
  drain: channel('fastify-multitenant:drain'),
  /** A load or a reload failed with `error`. */
  fail: channel('fastify-multitenant:fail')
}

/** A message about one tenant. */
export interface TenantMessage extends Partial<DrainReport> {
  id: string
  generation: number
  ms?: number
  error?: unknown
}

/** Tells whoever listens to `fastify-multitenant:<event>`. */
export function publish (event: keyof typeof channels, message: TenantMessage): void {
  if (channels[event].hasSubscribers) channels[event].publish(message)
}
