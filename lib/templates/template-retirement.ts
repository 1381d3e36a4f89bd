import type { FastifyBaseLogger } from 'fastify'
import { debug } from '../utils/debug.ts'
import { withDeadline } from '../utils/deadline.ts'
import { failureLogged } from '../utils/log-failure.ts'
import { withResolvers } from '../utils/with-resolvers.ts'
import type { BootContext } from '../generations/boot-context.ts'
import type { ResolvedOptions } from '../options.ts'
import type { TemplateGeneration } from './template-generation.ts'

type Timeouts = Pick<ResolvedOptions, 'drainTimeout' | 'loadTimeout'>

/** Takes generations of templates out of service. Failures are logged and not thrown, because the caller goes on without the generation. */
export class TemplateRetirement {
  readonly #timeouts: Timeouts
  readonly #log: FastifyBaseLogger
  readonly #boot: BootContext
  readonly #allEnded = withResolvers<void>()

  constructor (timeouts: Timeouts, log: FastifyBaseLogger, boot: BootContext) {
    this.#timeouts = timeouts
    this.#log = log
    this.#boot = boot
  }

  /** Waits until no tenant uses the generation, then closes it. Never rejects. */
  async retire (generation: TemplateGeneration): Promise<null> {
    generation.state = 'draining'
    await Promise.race([generation.unused(), this.#allEnded.promise])
    await this.#boot.run(async () => {
      await this.preClose(generation)
      await this.close(generation)
    })
    return null
  }

  /** Call this when all tenants have ended: no generation waits for its tenants any more. */
  onAllEnded (): void {
    this.#allEnded.resolve()
  }

  /** Runs the preClose hooks; a second call does nothing. Never rejects. */
  async preClose ({ name, scope }: TemplateGeneration): Promise<void> {
    await this.#logged(name, withDeadline(scope.preClose(), this.#timeouts.drainTimeout, () => new Error('A preClose hook of the template took too long')))
  }

  /** Runs the onClose hooks. Never rejects. */
  async close (generation: TemplateGeneration): Promise<void> {
    const { name, number, scope } = generation
    await this.#logged(name, withDeadline(scope.close(), this.#timeouts.loadTimeout / 2, () => new Error('An onClose hook of the template took too long')))
    generation.state = 'closed'
    debug?.("template '%s', generation %d: closed", name, number)
  }

  async #logged (name: string, work: Promise<void>): Promise<void> {
    await failureLogged(work, this.#log, { template: name }, 'template failed to close')
  }
}
