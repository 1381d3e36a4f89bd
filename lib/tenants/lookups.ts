import type { ServerResponse } from 'node:http'
import { FST_TENANT_CLOSED, FST_TENANT_LOAD_TIMEOUT, FST_TENANT_OVERLOADED } from '../errors.ts'
import { busy } from './admission.ts'
import { BootContext } from './boot-context.ts'
import { FairQueue } from './fair-queue.ts'
import { Question } from './question.ts'
import { isClosed } from '../leases/response-lease.ts'
import { retryAfter } from '../utils/retry-after.ts'
import { Turns } from './turns.ts'
import type { Definitions } from './definitions.ts'
import type { Holder } from '../leases/lease.ts'
import type { Asker } from './question.ts'
import type { TenantDefinition } from '../../types/index.ts'

/** How many askers wait for their turn. */
const MAX_WAITING = 1_000
/** How many ids one call is for, and how many calls run at a time, at most when calls hang: with a source that takes several ids, or one. */
const CALLS = { many: { batch: 100, size: 2, most: 10 }, one: { batch: 1, size: 10, most: 50 } }
/** How long a call may keep others waiting, in ms. */
const PATIENCE = 250

/** How long an answer is waited for, and by how many. */
export interface LookupOptions {
  /** ms */
  readonly loadTimeout: number
  readonly maxWaiting: number
}

/**
 * Looks tenants up in the source: a few calls at a time, and each id once however many ask for it. A client that floods it with ids
 * keeps only itself waiting. No more is kept of an id than `Definitions` remembers.
 */
export class Lookups {
  readonly #definitions: Definitions
  readonly #options: LookupOptions
  readonly #batch: number
  readonly #turns: Turns
  readonly #queue = new FairQueue<Asker>({ max: MAX_WAITING, isGone, onDrop: asker => asker.settle(overloaded(asker.question.id)) })
  /** Those that have no answer yet, by their ids. */
  readonly #questions = new Map<string, Question>()
  readonly #calls = new Set<Promise<void>>()
  /** Calls answer to many requests: they do not run in the context of the one that came last. */
  readonly #boot = new BootContext()

  constructor (definitions: Definitions, options: LookupOptions) {
    const { batch, ...calls } = CALLS[definitions.takesMany ? 'many' : 'one']
    this.#definitions = definitions
    this.#options = options
    this.#batch = batch
    this.#turns = new Turns({ ...calls, patience: Math.min(PATIENCE, options.loadTimeout / 4), onFree: () => this.#next() })
  }

  /**
   * The definition of a tenant that is to be loaded.
   * @param holder the request that asks: it is left out when its client has left before the source is asked
   * @throws FST_TENANT_NOT_FOUND, FST_TENANT_SUSPENDED, FST_TENANT_LOAD_FAILED when the source fails, FST_TENANT_LOAD_TIMEOUT,
   * FST_TENANT_BUSY, FST_TENANT_OVERLOADED when too many wait, FST_TENANT_CLOSED
   */
  async find (id: string, holder?: Holder): Promise<TenantDefinition> {
    const connection = connectionOf(holder)
    // Nothing else is made for a request of a flood.
    if (this.#questions.get(id)?.sent !== true && !this.#queue.makeRoom(connection)) throw overloaded(id)
    const question = this.#questions.get(id) ?? this.#open(id)
    if (question.askers >= this.#options.maxWaiting) throw busy(id)
    const asker = question.ask(holder)
    const timer = setTimeout(() => asker.settle(retryAfter(new FST_TENANT_LOAD_TIMEOUT(id), 1)), this.#options.loadTimeout)
    if (!question.sent) this.#queue.add(connection, asker)
    this.#next()
    try {
      return await asker.answer
    } finally {
      clearTimeout(timer)
    }
  }

  /** To be called when this tenant may have changed. */
  changed (id: string): void {
    const question = this.#questions.get(id)
    if (question !== undefined) question.doubted = true
  }

  /** Refuses all who wait, and waits for the calls that run. */
  async close (): Promise<void> {
    for (const [id, question] of this.#questions) question.settle(new FST_TENANT_CLOSED(id))
    await Promise.all(this.#calls)
  }

  #open (id: string): Question {
    const question = new Question(id, () => this.#questions.delete(id))
    this.#questions.set(id, question)
    return question
  }

  #next (): void {
    while (this.#turns.free) {
      const questions = this.#take()
      if (questions.length === 0) return
      const call = this.#boot.run(() => this.#call(questions))
      this.#calls.add(call)
      call.then(() => this.#calls.delete(call))
    }
  }

  #take (): Question[] {
    const questions: Question[] = []
    while (questions.length < this.#batch) {
      const asker = this.#queue.take()
      if (asker === undefined) break
      const { question } = asker
      if (isGone(asker)) {
        asker.settle(overloaded(question.id))
      } else if (!question.sent) {
        question.sent = true
        questions.push(question)
      }
    }
    return questions
  }

  /** Never rejects. */
  async #call (questions: readonly Question[]): Promise<void> {
    const end = this.#turns.begin()
    await (this.#batch === 1 ? Promise.all(questions.map(question => this.#ask(question))) : this.#askTogether(questions))
    end()
  }

  async #ask (question: Question): Promise<void> {
    while (question.askers > 0) {
      question.doubted = false
      const outcome = await this.#definitions.outcome(question.id)
      if (!question.doubted) return question.settle(outcome)
    }
    question.end()
  }

  async #askTogether (questions: readonly Question[]): Promise<void> {
    for (const question of questions) question.doubted = false
    const outcomes = await this.#definitions.outcomes(questions.map(({ id }) => id))
    await Promise.all(questions.map(async question => {
      const outcome = outcomes?.get(question.id)
      // One tenant that cannot be read fails the call for all.
      if (outcome === undefined || question.doubted) return this.#ask(question)
      question.settle(outcome)
    }))
  }
}

/** Whether there is nobody to be answered any more. */
function isGone (asker: Asker): boolean {
  const { question, holder } = asker
  return !question.isAskedBy(asker) || (holder !== undefined && isClosed(holder as ServerResponse))
}

/** Whoever sends much by one connection is one client, over HTTP/2 too. What has none is the app's. */
function connectionOf (holder: Holder | undefined): unknown {
  const request = holder?.req as { socket?: object, stream?: { session?: object } } | undefined
  return request?.stream?.session ?? request?.socket
}

function overloaded (id: string): Error {
  return retryAfter(new FST_TENANT_OVERLOADED(id), 1)
}
