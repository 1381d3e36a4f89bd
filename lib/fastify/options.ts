import type { FastifyInstance } from 'fastify'
import { createDefaultFastify } from './create-quietly.ts'
import type { Internals } from './internals.ts'

/** Server options that Fastify reads from a closure and not from the instance, so they cannot be inherited. */
const CLOSURE_OPTIONS = ['allowErrorHandlerOverride', 'exposeHeadRoutes', 'frameworkErrors', 'requestIdHeader', 'return503OnClosing']

/** Router options that hold functions and strategies of the app itself. */
const OWN_ROUTER_OPTIONS = new Set(['defaultRoute', 'onBadUrl', 'onMaxParamLength', 'constraints'])

/** Returns the app's server options that another root has to be created with. */
export function closureOptions (app: FastifyInstance, internals: Internals): Record<string, unknown> {
  const options = internals.get(app, 'options')
  return Object.fromEntries(CLOSURE_OPTIONS.filter(name => options[name] !== undefined).map(name => [name, options[name]]))
}

/** Returns the app's router options that another router can share. */
export function sharedRouterOptions (app: FastifyInstance, internals: Internals): Record<string, unknown> {
  return Object.fromEntries(Object.entries(internals.get(app, 'options').routerOptions).filter(([name]) => !OWN_ROUTER_OPTIONS.has(name)))
}

/** Returns those router options that the user set. Fastify fills in functions of its own for the others. */
export function userRouterOptions<Name extends string> (app: FastifyInstance, internals: Internals, names: readonly Name[]): Partial<Record<Name, unknown>> {
  const [options, defaults] = [app, createDefaultFastify()].map(instance => internals.get(instance, 'options').routerOptions)
  const set = names.filter(name => !hasSameSource(options?.[name], defaults?.[name]))
  return Object.fromEntries(set.map(name => [name, options?.[name]])) as Partial<Record<Name, unknown>>
}

/**
 * Whether two functions have the same source text. Fastify creates its default functions again for each instance, and nothing
 * else tells them from a user's functions.
 */
export function hasSameSource (one: unknown, other: unknown): boolean {
  return String(one) === String(other)
}
