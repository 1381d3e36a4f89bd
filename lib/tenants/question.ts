import { withResolvers } from '../utils/with-resolvers.ts'
import type { Holder } from '../leases/lease.ts'
import type { TenantDefinition } from '../../types/index.ts'

/** The definition, or why there is none. */
export type Outcome = TenantDefinition | Error

/** Someone who waits for the answer to a question. */
export interface Asker {
  readonly question: Question
  /** The request that asks; `undefined` when the app itself does. */
  readonly holder: Holder | undefined
  readonly answer: Promise<TenantDefinition>
  /** Answers this asker, once. */
  settle (outcome: Outcome): void
}

/** A question about one id. The source is asked it once, however many wait for the answer. */
export class Question {
  readonly id: string
  /** Whether the source has been asked. */
  sent = false
  /** Whether the tenant may have changed since: the answer that is on its way does not count. */
  doubted = false
  readonly #onEnd: () => void
  readonly #askers = new Set<Asker>()

  /** @param onEnd called when there is an answer, or when nobody waits for one before the source is asked */
  constructor (id: string, onEnd: () => void) {
    this.id = id
    this.#onEnd = onEnd
  }

  /** How many wait for the answer. */
  get askers (): number {
    return this.#askers.size
  }

  /** Whether this one waits for the answer. */
  isAskedBy (asker: Asker): boolean {
    return this.#askers.has(asker)
  }

  ask (holder: Holder | undefined): Asker {
    const { promise: answer, resolve, reject } = withResolvers<TenantDefinition>()
    const asker: Asker = {
      question: this,
      holder,
      answer,
      settle: outcome => {
        if (outcome instanceof Error) reject(outcome)
        else resolve(outcome)
        this.#leave(asker)
      }
    }
    this.#askers.add(asker)
    return asker
  }

  /** Answers all who wait. */
  settle (outcome: Outcome): void {
    this.sent = true
    for (const asker of this.#askers) asker.settle(outcome)
    this.end()
  }

  /** To be called when nobody waits for the answer any more. */
  end (): void {
    this.#onEnd()
  }

  #leave (asker: Asker): void {
    if (this.#askers.delete(asker) && this.askers === 0 && !this.sent) this.end()
  }
}
