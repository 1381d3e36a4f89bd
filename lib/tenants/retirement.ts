import type { FastifyBaseLogger } from 'fastify'
import { failureLogged } from '../utils/log-failure.ts'
import { publish } from './channels.ts'
import { withDeadline } from '../utils/deadline.ts'
import { debug } from '../utils/debug.ts'
import type { BootContext } from '../generations/boot-context.ts'
import type { Generation } from './generation.ts'
import type { ResolvedOptions } from '../options.ts'
import type { DrainReport } from '../../types/index.ts'

type Timeouts = Pick<ResolvedOptions, 'drainTimeout' | 'loadTimeout'>

/** Takes generations out of service. Failures are logged and not thrown, because the caller goes on without the generation. */
export class Retirement {
  readonly #timeouts: Timeouts
  readonly #log: FastifyBaseLogger
  readonly #boot: BootContext

  constructor (timeouts: Timeouts, log: FastifyBaseLogger, boot: BootContext) {
    this.#timeouts = timeouts
    this.#log = log
    this.#boot = boot
  }

  /** Takes a generation out of service, drains it, then closes it. Never rejects. */
  retire (generation: Generation): Promise<DrainReport> {
    generation.end()
    return this.#boot.run(() => this.#retire(generation))
  }

  /** Runs the tenant's preClose hooks; a second call does nothing. Never rejects. */
  async preClose (generation: Generation): Promise<void> {
    const { scope } = generation
    if (scope === undefined) return
    const tooLong = (): Error => new Error('A preClose hook of the tenant took too long')
    await this.#boot.run(() => this.#logged(generation, withDeadline(scope.preClose(), this.#timeouts.drainTimeout, tooLong)))
  }

  /** Closes a generation without draining it. Never rejects. */
  async close (generation: Generation): Promise<void> {
    // A load that waits for this tenant's place waits for `loadTimeout`, and needs half of it to load.
    await this.#logged(generation, generation.close(this.#timeouts.loadTimeout / 2))
    debug?.("tenant '%s', generation %d: closed", generation.id, generation.number)
  }

  async #retire (generation: Generation): Promise<DrainReport> {
    const { id, number } = generation
    debug?.("tenant '%s', generation %d: drain begins, %d in flight", id, number, generation.leases.inFlight)
    const draining = generation.drain(this.#timeouts.drainTimeout)
    await this.preClose(generation)
    const report = await draining
    if (!report.drained) this.#log.warn({ tenantId: id, ...report }, 'tenant closed by force')
    await this.close(generation)
    generation.place.release(true)
    publish('drain', { id, ...report })
    return report
  }

  async #logged ({ id }: Generation, work: Promise<void>): Promise<void> {
    await failureLogged(work, this.#log, { tenantId: id }, 'tenant failed to close')
  }
}
