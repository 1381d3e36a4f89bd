import { isDeepStrictEqual } from 'node:util'
import type { FastifyInstance } from 'fastify'
import type { Internals } from './internals.ts'
import type { Hidden } from './shapes.ts'

/** Names a plugin in Fastify's messages and in `printPlugins()`. Fastify documents this symbol. */
export function withPluginName<Plugin extends object> (plugin: Plugin, name: string): Plugin {
  return Object.assign(plugin, { [Symbol.for('fastify.display-name')]: name })
}

/** Removes and returns an instance's hooks of one kind, so that Fastify does not run them. */
export function takeHooks (instance: FastifyInstance, name: 'onListen' | 'preClose', internals: Internals): unknown[] {
  const hooks = internals.get(instance, 'hooks')
  const taken = hooks[name] as unknown[]
  hooks[name] = []
  return taken
}

/** Replaces the function that each child of a root gets as its `ready()`. */
export function replaceChildReady (root: FastifyInstance, internals: Internals, replace: (ready: Hidden['avvioBoot']) => Hidden['avvioBoot']): void {
  internals.set(root, 'avvioBoot', replace(internals.get(root, 'avvioBoot')))
}

/** Whether Fastify itself reads the same values from two instances while it handles a request. */
export function handlesRequestsAlike (one: FastifyInstance, other: FastifyInstance, internals: Internals): boolean {
  const both = <Name extends keyof Hidden> (name: Name): [Hidden[Name], Hidden[Name]] => [internals.get(one, name), internals.get(other, name)]
  return isDeepStrictEqual(...both('methods')) && Object.is(...both('genReqId')) && Object.is(...both('logController')) &&
    one.hasConstraintStrategy('version') === other.hasConstraintStrategy('version')
}
