import type { FastifyInstance } from 'fastify'
import { callContained } from '../utils/contained-call.ts'
import type { End, Report } from '../utils/contained-call.ts'
import type { Internals } from '../fastify/internals.ts'

type ApplicationHook = (this: FastifyInstance, done: End) => unknown

/** Runs the onListen and preClose hooks of a tenant, which Fastify runs for an app of its own only. */
export class ApplicationHooks {
  readonly #root: FastifyInstance
  readonly #internals: Internals
  readonly #report: Report

  /** @param report told the error of each hook: the others run nevertheless */
  constructor (root: FastifyInstance, internals: Internals, report: Report) {
    this.#root = root
    this.#internals = internals
    this.#report = report
  }

  /** As in Fastify, no plugin waits for the hooks of another. */
  onListen (instance = this.#root): void {
    const hooks = this.#take('onListen', instance).values()
    const next: End = error => {
      if (error) this.#report(error, 'an onListen hook of the tenant failed')
      const { value: hook } = hooks.next()
      if (hook !== undefined) return this.#run(hook, instance, next)
      for (const child of this.#internals.get(instance, 'children')) this.onListen(child)
    }
    next()
  }

  async preClose (instance = this.#root): Promise<void> {
    for (const hook of this.#take('preClose', instance)) {
      const error = await new Promise(resolve => this.#run(hook, instance, resolve))
      if (error) this.#report(error, 'tenant failed to close')
    }
    for (const child of this.#internals.get(instance, 'children')) await this.preClose(child)
  }

  /** Calls `end` when the hook has ended: at once if the hook is synchronous. */
  #run (hook: ApplicationHook, instance: FastifyInstance, end: End): void {
    callContained({ run: done => hook.call(instance, done), takesDone: hook.length > 0 }, end, this.#report)
  }

  /** Each hook runs once: Fastify would run preClose hooks again when it closes the root. */
  #take (name: 'onListen' | 'preClose', instance: FastifyInstance): ApplicationHook[] {
    const hooks = this.#internals.get(instance, 'hooks')
    const taken = hooks[name] as ApplicationHook[]
    hooks[name] = []
    return taken
  }
}
