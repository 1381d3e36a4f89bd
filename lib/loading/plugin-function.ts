import type { FastifyInstance } from 'fastify'
import { asError } from '../utils/as-error.ts'
import { callContained } from '../utils/contained-call.ts'
import { isPromiseLike } from '../utils/is-promise-like.ts'
import type { End, Report } from '../utils/contained-call.ts'

/** A Fastify plugin function: async, or with `done`. */
export type PluginFunction = (this: unknown, instance: FastifyInstance, options: object, done: (error?: Error) => void) => unknown

/** Returns the options that a plugin gets, from those that it is registered with. */
export type AdaptOptions = (options: object) => object

type OptionsFunction = (parent: FastifyInstance) => unknown

const SKIP_OVERRIDE = Symbol.for('skip-override')

/**
 * Wraps a plugin so that its decorators and hooks apply to the scope it is registered in. `fastify-plugin` would mark the function
 * itself, which another tenant or the app may use too.
 */
export function unencapsulated (plugin: PluginFunction): PluginFunction {
  const registered: PluginFunction = function (instance, options, done) {
    return plugin.call(this, instance, options, done)
  }
  return Object.assign(imitate(registered, plugin), { [SKIP_OVERRIDE]: true })
}

/** The metadata that `fastify-plugin` stores on a plugin. */
export interface PluginMeta { name?: string, dependencies?: readonly string[] }

/** Returns the metadata of a plugin; `undefined` if `fastify-plugin` has not wrapped it. */
export function pluginMeta (plugin: unknown): PluginMeta | undefined {
  return typeof plugin === 'function' ? Reflect.get(plugin, Symbol.for('plugin-meta')) as PluginMeta | undefined : undefined
}

/**
 * Replaces `scope.register()` so that a plugin that throws synchronously, or whose options function throws, fails to load. Fastify
 * would let the error end the process, and with it all other tenants. Child instances inherit the replacement.
 * @param report called with the errors that a plugin throws after it has called `done`
 */
export function guardRegister (scope: FastifyInstance, report: Report, adaptOptions: AdaptOptions = options => options): void {
  const { register } = scope
  const guard = { report, adaptOptions }
  scope.register = function (this: FastifyInstance, plugin: unknown, options: unknown) {
    const guardedOptions = new GuardedOptions(options)
    return Reflect.apply(register, this, [guarded(plugin, guardedOptions, guard), guardedOptions.options])
  } as typeof register
}

interface Guard { report: Report, adaptOptions: AdaptOptions }

function guarded (plugin: unknown, guardedOptions: GuardedOptions, guard: Guard): unknown {
  if (isPromiseLike(plugin)) return guardedPromise(plugin, guardedOptions, guard)
  if (typeof plugin === 'function') return guardedFunction(plugin as PluginFunction, guardedOptions, guard)
  // A module, as `import()` returns it.
  const exported = typeof plugin === 'object' && plugin !== null ? Reflect.get(plugin, 'default') : undefined
  return typeof exported === 'function' ? guardedFunction(exported, guardedOptions, guard) : plugin
}

function guardedPromise (promise: PromiseLike<unknown>, guardedOptions: GuardedOptions, guard: Guard): Promise<unknown> {
  const plugin = Promise.resolve(promise).then(plugin => {
    const function_ = guarded(plugin, guardedOptions, guard)
    if (typeof function_ !== 'function') throw new Error('A promise of a plugin must resolve to a function, or to a module whose default export is one')
    return function_
  }, thrown => { throw asError(thrown) })
  // Fastify handles the promise only when the plugin's turn comes. Until then Node would report an unhandled rejection.
  plugin.catch(() => {})
  return plugin
}

function guardedFunction (plugin: PluginFunction, guardedOptions: GuardedOptions, { report, adaptOptions }: Guard): PluginFunction {
  // Fastify refuses an async function that takes `done`. It would not recognize a wrapper.
  if (plugin.constructor.name === 'AsyncFunction' && plugin.length > 2) return plugin
  return imitate(function (instance, options, done) {
    const run = (done: End): unknown => {
      guardedOptions.throwFailure()
      const result = plugin.call(this, instance, adaptOptions(options), done)
      // Unlike other callbacks, a plugin that takes `done` may return a promise instead.
      return isPromiseLike(result) ? result.then(() => process.nextTick(done)) : result
    }
    callContained({ run, takesDone: plugin.length > 2 }, done as End, report)
  }, plugin, 3)
}

/** The options of a plugin. An error of an options function is kept, so that the plugin fails with it. */
class GuardedOptions {
  readonly options: unknown
  #failure: Error | undefined

  constructor (options: unknown) {
    this.options = typeof options === 'function' ? imitate(parent => this.#make(options as OptionsFunction, parent), options as PluginFunction) : options
  }

  /** Throws the error of the options function, if it failed. */
  throwFailure (): void {
    if (this.#failure !== undefined) throw this.#failure
  }

  #make (options: OptionsFunction, parent: FastifyInstance): unknown {
    try {
      return options(parent)
    } catch (thrown) {
      this.#failure = asError(thrown)
      return {}
    }
  }
}

/** Gives `copy` everything that Fastify reads from a plugin: its name, its number of arguments and the marks of `fastify-plugin`. */
function imitate (copy: PluginFunction, plugin: PluginFunction, length = plugin.length): PluginFunction {
  const { name, length: _length, ...marks } = plugin
  // Fastify names an anonymous plugin by the first lines of its source.
  const toString = (): string => Function.prototype.toString.call(plugin)
  return Object.assign(Object.defineProperties(copy, { name: { value: name }, length: { value: length }, toString: { value: toString } }), marks)
}
