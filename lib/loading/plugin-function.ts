import type { FastifyInstance } from 'fastify'
import { isPromiseLike } from '../is-promise-like.ts'

/** A plugin, whatever its style. */
export type PluginFunction = (this: unknown, instance: FastifyInstance, options: object, done: (error?: Error) => void) => unknown

const SKIP_OVERRIDE = Symbol.for('skip-override')

/**
 * The same plugin, whose decorators and hooks are those of the scope it is registered in. `fastify-plugin` would mark the
 * function itself, and another tenant or the app may use it too.
 */
export function unencapsulated (plugin: PluginFunction): PluginFunction {
  const registered: PluginFunction = function (instance, options, done) {
    return plugin.call(this, instance, options, done)
  }
  return Object.assign(imitate(registered, plugin), { [SKIP_OVERRIDE]: true })
}

/** Whether Fastify does not encapsulate this plugin. */
export function isUnencapsulated (plugin: object): boolean {
  return Reflect.get(plugin, SKIP_OVERRIDE) === true
}

/** What `fastify-plugin` was told of a plugin. */
export interface PluginMeta { name?: string, dependencies?: readonly string[] }

/** `undefined` for what is not a plugin, or was not given to `fastify-plugin`. */
export function pluginMeta (plugin: unknown): PluginMeta | undefined {
  return typeof plugin === 'function' ? Reflect.get(plugin, Symbol.for('plugin-meta')) as PluginMeta | undefined : undefined
}

/**
 * From here on a plugin that throws before it returns fails, in the scope and below it. Fastify would let the error end the
 * process, and with it all other tenants.
 */
export function guardRegister (scope: FastifyInstance): void {
  const { register } = scope
  scope.register = function (this: FastifyInstance, plugin: unknown, options: unknown) {
    return Reflect.apply(register, this, [guarded(plugin), options])
  } as typeof register
}

function guarded (plugin: unknown): unknown {
  if (isPromiseLike(plugin)) return plugin.then(guarded)
  if (typeof plugin === 'function') return guardedFunction(plugin as PluginFunction)
  // A module, as `import()` answers with.
  const exported = typeof plugin === 'object' && plugin !== null ? Reflect.get(plugin, 'default') : undefined
  return typeof exported === 'function' ? guardedFunction(exported) : plugin
}

function guardedFunction (plugin: PluginFunction): PluginFunction {
  // Async functions never throw, and Fastify refuses those that take `done` by looking at the function itself.
  if (plugin.constructor.name === 'AsyncFunction') return plugin
  return imitate(function (instance, options, done) {
    try {
      return plugin.call(this, instance, options, done)
    } catch (error) {
      return Promise.reject(error)
    }
  }, plugin)
}

/** Gives to `copy` all that Fastify reads of a plugin: its name, how many arguments it takes, and the marks of `fastify-plugin`. */
function imitate (copy: PluginFunction, plugin: PluginFunction): PluginFunction {
  const { name, length, ...marks } = plugin
  // A plugin without a name is known by its first lines.
  const toString = (): string => Function.prototype.toString.call(plugin)
  return Object.assign(Object.defineProperties(copy, { name: { value: name }, length: { value: length }, toString: { value: toString } }), marks)
}
