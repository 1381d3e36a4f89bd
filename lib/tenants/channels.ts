import { channel } from 'node:diagnostics_channel'
import type { DrainReport } from '../../types/index.ts'

/**
 * The diagnostics channels: https://nodejs.org/api/diagnostics_channel.html.
 * Each message has the `id` of the tenant and the number of the `generation`.
 */
const channels = {
  /** A tenant was loaded; `ms` is the duration of the load. */
  load: channel('fastify-multitenant:load'),
  /** A new generation serves; `ms` is the duration of its load. */
  reload: channel('fastify-multitenant:reload'),
  /** An idle tenant is being unloaded: another needed its place, or `idleTimeout` has passed. */
  evict: channel('fastify-multitenant:evict'),
  /** A generation is closed; `drained` and `forced` come from its drain report. */
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

/** Publishes to `fastify-multitenant:<event>`, if it has subscribers. */
export function publish (event: keyof typeof channels, message: TenantMessage): void {
  if (channels[event].hasSubscribers) channels[event].publish(message)
}
