import type { FastifyInstance } from 'fastify'
import { instanceOf } from '../scope/tenant-requests.ts'
import type { Internals } from '../fastify/internals.ts'
import type { RouteContext } from '../fastify/shapes.ts'

type Hook = (...parameters: unknown[]) => unknown

/** The kinds of hooks that can guard a route: they see a request before its handler, or change its reply. */
const HOOKS = ['onRequest', 'preParsing', 'preValidation', 'preHandler', 'preSerialization', 'onSend'] as const
/** Config keys that do not guard a route. */
const NO_GUARD = new Set(['url', 'method', 'tenant', 'identify', 'override'])

/** The hooks and config keys that a route has in addition to those of the app. They may guard the route. */
export class Guards {
  readonly #app: FastifyInstance
  readonly #internals: Internals

  constructor (app: FastifyInstance, internals: Internals) {
    this.#app = app
    this.#internals = internals
  }

  /** Returns names such as `preHandler requireSession` and `config.access`. With `other`, only those that the other route lacks. */
  of (route: RouteContext, other?: RouteContext): string[] {
    const hooks = HOOKS.flatMap(name => this.#hooksBeyond(name, route, other).map(hook => `${name} ${hook}`))
    const keys = Object.keys(route.config).filter(key => !NO_GUARD.has(key) && !Object.hasOwn(other?.config ?? {}, key))
    return [...hooks, ...keys.map(key => `config.${key}`)]
  }

  #hooksBeyond (name: typeof HOOKS[number], route: RouteContext, other: RouteContext | undefined): string[] {
    const excluded = new Set([...this.#inherited(name, this.#app), ...(other === undefined ? [] : this.#inherited(name, instanceOf(other)))])
    const inherited = this.#inherited(name, instanceOf(route)).filter(hook => !excluded.has(hook)).map(nameOf)
    const others = other === undefined ? [] : this.#ownNames(name, other)
    return [...inherited, ...this.#ownNames(name, route).filter(hook => !takeOne(others, hook))]
  }

  #inherited (name: typeof HOOKS[number], instance: FastifyInstance): Hook[] {
    return this.#internals.get(instance, 'hooks')[name] as Hook[]
  }

  /** Fastify binds the hooks of a route, so they can be compared by name only. */
  #ownNames (name: typeof HOOKS[number], context: RouteContext): string[] {
    const hooks = (context as unknown as Record<string, Hook[] | null>)[name] ?? []
    return hooks.slice(this.#inherited(name, instanceOf(context)).length).map(nameOf)
  }
}

function takeOne (names: string[], name: string): boolean {
  const at = names.indexOf(name)
  if (at === -1) return false
  names.splice(at, 1)
  return true
}

function nameOf ({ name }: Hook): string {
  return name.replace(/^bound /, '') || 'without a name'
}
