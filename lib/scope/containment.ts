import type { FastifyInstance } from 'fastify'
import { replaceChildReady } from '../fastify/instance.ts'
import { callContained } from '../utils/contained-call.ts'
import { guardRegister } from '../loading/plugin-function.ts'
import type { Internals } from '../fastify/internals.ts'
import type { AdaptOptions } from '../loading/plugin-function.ts'
import type { Hidden } from '../fastify/shapes.ts'
import type { End, Report } from '../utils/contained-call.ts'

type Callback = (...parameters: unknown[]) => unknown
type Method = (this: FastifyInstance, callback: unknown) => unknown
type OnClose = (instance: FastifyInstance, done: End) => unknown

/** Fastify calls the callbacks of these methods without catching what they throw. */
const METHODS = ['after', 'close'] as const

/**
 * Contains the failures of a tenant's code: what a plugin, an onClose hook, or a callback of `after()`, `ready()` or `close()` throws
 * reaches Fastify as an ordinary failure. Otherwise some of these errors would end the process, and with it all other tenants.
 * @param report receives the error of each onClose hook that fails; the other hooks still run
 * @param adaptOptions returns the options that a plugin gets
 */
export function contain (root: FastifyInstance, internals: Internals, report: Report, adaptOptions?: AdaptOptions): void {
  guardRegister(root, report, adaptOptions)
  for (const name of METHODS) root[name] = withContainedCallback(root[name] as Method, report) as never
  replaceChildReady(root, internals, ready => withContainedCallback(ready as Method, report) as Hidden['avvioBoot'])
  containOnClose(root, report)
}

function withContainedCallback (method: Method, report: Report): Method {
  return function (callback) {
    return method.call(this, typeof callback === 'function' ? containCallback(callback as Callback, this, report) : callback)
  }
}

/**
 * As in Fastify, the callback's number of parameters decides which arguments it gets. A callback without parameters passes an earlier
 * error on to the next callback.
 */
function containCallback (callback: Callback, instance: FastifyInstance, report: Report): Callback {
  const takesDone = callback.length > 1
  const contained = (error: unknown, done: End): void => {
    const run = (done: End): unknown => callback(...[[], [error], [error, done]][callback.length] ?? [error, instance, done])
    callContained({ run, takesDone }, failure => done(callback.length === 0 ? failure ?? error : failure), report)
  }
  return Object.defineProperty(contained, 'name', { value: callback.name }) as Callback
}

function containOnClose (root: FastifyInstance, report: Report): void {
  const { onClose } = root as unknown as { onClose: (hook: OnClose) => unknown }
  const contained = function (this: FastifyInstance, hook: unknown): unknown {
    return onClose.call(this, typeof hook === 'function' ? containOnCloseHook(hook as OnClose, report) : hook as OnClose)
  }
  Object.assign(root, { onClose: contained })
}

function containOnCloseHook (hook: OnClose, report: Report): OnClose {
  return (instance, done) => {
    const run = (done: End): unknown => hook(instance, done)
    callContained({ run, takesDone: hook.length > 1 }, error => {
      if (error) report(error, 'tenant failed to close')
      process.nextTick(done)
    }, report)
  }
}
