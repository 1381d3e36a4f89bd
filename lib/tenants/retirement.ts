import type { FastifyBaseLogger } from 'fastify'
import { logFailure } from '../utils/log-failure.ts'
import { publish } from './channels.ts'
import { withDeadline } from '../utils/deadline.ts'
import type { BootContext } from './boot-context.ts'
import type { Generation } from './generation.ts'
import type { ResolvedOptions } from '../options.ts'
import type { DrainReport } from '../../types/index.ts'

type Timeouts = Pick<ResolvedOptions, 'drainTimeout' | 'loadTimeout'>

/** Takes generations out of service. What fails there is logged, and told to nobody else: who asked for it goes on without the generation. */
export class Retirement {
  readonly #timeouts: Timeouts
  readonly #log: FastifyBaseLogger
  readonly #boot: BootContext

  constructor (timeouts: Timeouts, log: FastifyBaseLogger, boot: BootContext) {
    this.#timeouts = timeouts
    this.#log = log
    this.#boot = boot
  }

  /** Ends a generation when its requests are over. Never rejects. */
  retire (generation: Generation): Promise<DrainReport> {
    return this.#boot.run(() => this.#retire(generation))
  }

  /** Runs the preClose hooks of the tenant, once. Never rejects. */
  async preClose (generation: Generation): Promise<void> {
    const tooLong = (): Error => new Error('A preClose hook of the tenant took too long')
    await this.#boot.run(() => this.#logged(generation, withDeadline(generation.scope.preClose(), this.#timeouts.drainTimeout, tooLong)))
  }

  /** Closes what the tenant opened, at once. Never rejects. */
  async close (generation: Generation): Promise<void> {
    // A load that waits for the place of this tenant waits for `loadTimeout`. It must still have time to load.
    await this.#logged(generation, generation.close(this.#timeouts.loadTimeout / 2))
  }

  async #retire (generation: Generation): Promise<DrainReport> {
    const draining = generation.drain(this.#timeouts.drainTimeout)
    await this.preClose(generation)
    const report = await draining
    if (!report.drained) this.#log.warn({ tenantId: generation.id, ...report }, 'tenant closed by force')
    await this.close(generation)
    publish('drain', { id: generation.id, ...report })
    return report
  }

  async #logged (generation: Generation, work: Promise<void>): Promise<void> {
    try {
      await work
    } catch (err) {
      logFailure(this.#log, generation.id, err, 'tenant failed to close')
    }
  }
}
