import type { FastifyInstance } from 'fastify'
import { takeHooks } from '../fastify/instance.ts'
import { callContained } from '../utils/contained-call.ts'
import type { End, Report } from '../utils/contained-call.ts'
import type { Internals } from '../fastify/internals.ts'

type ApplicationHook = (this: FastifyInstance, done: End) => unknown

/** Runs a tenant's onListen and preClose hooks. Fastify would run them only for an app with a server of its own. */
export class ApplicationHooks {
  readonly #root: FastifyInstance
  readonly #internals: Internals
  readonly #report: Report

  /** @param report receives the error of each hook that fails; the other hooks still run */
  constructor (root: FastifyInstance, internals: Internals, report: Report) {
    this.#root = root
    this.#internals = internals
    this.#report = report
  }

  /** Runs the onListen hooks. As in Fastify, the hooks of one context run in order, and contexts do not wait for each other. */
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

  /** Runs the preClose hooks one after another, those of child contexts last. */
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

  /** Each hook runs once. Without this, Fastify would run the preClose hooks again when it closes the root. */
  #take (name: 'onListen' | 'preClose', instance: FastifyInstance): ApplicationHook[] {
    return takeHooks(instance, name, this.#internals) as ApplicationHook[]
  }
}
