import type { FastifyInstance } from 'fastify'
import { asError } from '../utils/as-error.ts'
import { callContained } from '../utils/contained-call.ts'
import { isPromiseLike } from '../utils/is-promise-like.ts'
import type { End, Report } from '../utils/contained-call.ts'

/** A plugin, whatever its style. */
export type PluginFunction = (this: unknown, instance: FastifyInstance, options: object, done: (error?: Error) => void) => unknown

type OptionsFunction = (parent: FastifyInstance) => unknown

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
 * From here on a plugin that throws before it returns fails, in the scope and below it, and so does one whose options are made by a
 * function that throws. Fastify would let the error end the process, and with it all other tenants.
 * @param report told what a plugin throws after it has called `done`
 */
export function guardRegister (scope: FastifyInstance, report: Report): void {
  const { register } = scope
  scope.register = function (this: FastifyInstance, plugin: unknown, options: unknown) {
    const made = new GuardedOptions(options)
    return Reflect.apply(register, this, [guarded(plugin, made, report), made.options])
  } as typeof register
}

function guarded (plugin: unknown, made: GuardedOptions, report: Report): unknown {
  if (isPromiseLike(plugin)) return guardedPromise(plugin, made, report)
  if (typeof plugin === 'function') return guardedFunction(plugin as PluginFunction, made, report)
  // A module, as `import()` answers with.
  const exported = typeof plugin === 'object' && plugin !== null ? Reflect.get(plugin, 'default') : undefined
  return typeof exported === 'function' ? guardedFunction(exported, made, report) : plugin
}

function guardedPromise (promise: PromiseLike<unknown>, made: GuardedOptions, report: Report): Promise<unknown> {
  const plugin = Promise.resolve(promise).then(plugin => {
    const function_ = guarded(plugin, made, report)
    if (typeof function_ !== 'function') throw new Error('A promise of a plugin must come to a function, or to a module whose default export is one')
    return function_
  }, thrown => { throw asError(thrown) })
  // Fastify looks at it when its turn has come: until then Node would find that nobody handles what it may reject with.
  plugin.catch(() => {})
  return plugin
}

function guardedFunction (plugin: PluginFunction, made: GuardedOptions, report: Report): PluginFunction {
  // Fastify refuses it, by looking at the function itself, and never calls it.
  if (plugin.constructor.name === 'AsyncFunction' && plugin.length > 2) return plugin
  return imitate(function (instance, options, done) {
    const run = (done: End): unknown => {
      made.check()
      const result = plugin.call(this, instance, options, done)
      // Unlike other callbacks, a plugin that takes `done` may return a promise instead.
      return isPromiseLike(result) ? result.then(() => process.nextTick(done)) : result
    }
    callContained({ run, takesDone: plugin.length > 2 }, done as End, report)
  }, plugin, 3)
}

/** The options of a plugin. When a function makes them and throws, the plugin is what fails. */
class GuardedOptions {
  readonly options: unknown
  #failure: Error | undefined

  constructor (options: unknown) {
    this.options = typeof options === 'function' ? imitate(parent => this.#make(options as OptionsFunction, parent), options as PluginFunction) : options
  }

  /** Throws what the function threw. */
  check (): void {
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

/** Gives to `copy` all that Fastify reads of a plugin: its name, how many arguments it takes, and the marks of `fastify-plugin`. */
function imitate (copy: PluginFunction, plugin: PluginFunction, length = plugin.length): PluginFunction {
  const { name, length: _length, ...marks } = plugin
  // A plugin without a name is known by its first lines.
  const toString = (): string => Function.prototype.toString.call(plugin)
  return Object.assign(Object.defineProperties(copy, { name: { value: name }, length: { value: length }, toString: { value: toString } }), marks)
}
