import type { FastifyInstance } from 'fastify'
import { rootOf } from './root-of.ts'
import type { Internals } from './internals.ts'

/**
 * Resolves when the whole app is ready: `ready()` of a child does not wait for that. While the app's onReady hooks run it resolves at
 * once: all plugins have loaded, and a hook that waited here would wait for itself.
 */
export async function whenReady (app: FastifyInstance, internals: Internals): Promise<void> {
  const { booting, started } = internals.get(app, 'state')
  if (!booting || started) await rootOf(app).ready()
}
