import type { FastifyInstance } from 'fastify'
import { callContained } from '../utils/contained-call.ts'
import { guardRegister } from '../loading/plugin-function.ts'
import type { Internals } from '../fastify/internals.ts'
import type { Hidden } from '../fastify/shapes.ts'
import type { End, Report } from '../utils/contained-call.ts'

type Callback = (...parameters: unknown[]) => unknown
type Method = (this: FastifyInstance, callback: unknown) => unknown
type OnClose = (instance: FastifyInstance, done: End) => unknown

/** The methods that take a function for later; Fastify calls it where nothing catches what it throws. */
const METHODS = ['after', 'close'] as const

/**
 * From here on a function that is given to `register()`, `after()`, `ready()`, `onClose()`, `close()` or as an onClose hook fails as
 * an asynchronous one does, however it fails. Fastify would let some of it end the process, and with it all other tenants.
 * @param report told the error of each onClose hook: the others run nevertheless
 */
export function contain (root: FastifyInstance, internals: Internals, report: Report): void {
  guardRegister(root, report)
  for (const name of METHODS) root[name] = containing(root[name] as Method, report) as never
  // Each child has it as its `ready()`.
  internals.set(root, 'avvioBoot', containing(internals.get(root, 'avvioBoot') as Method, report) as Hidden['avvioBoot'])
  containOnClose(root, report)
}

function containing (method: Method, report: Report): Method {
  return function (callback) {
    return method.call(this, typeof callback === 'function' ? contained(callback as Callback, this, report) : callback)
  }
}

/** As Fastify does, the number of parameters says what the callback is given. One that takes none leaves the error to the next. */
function contained (callback: Callback, instance: FastifyInstance, report: Report): Callback {
  const takesDone = callback.length > 1
  const copy = (error: unknown, done: End): void => {
    const run = (done: End): unknown => callback(...[[], [error], [error, done]][callback.length] ?? [error, instance, done])
    callContained({ run, takesDone }, failure => done(callback.length === 0 ? failure ?? error : failure), report)
  }
  return Object.defineProperty(copy, 'name', { value: callback.name }) as Callback
}

function containOnClose (root: FastifyInstance, report: Report): void {
  const { onClose } = root as unknown as { onClose: (hook: OnClose) => unknown }
  const containing = function (this: FastifyInstance, hook: unknown): unknown {
    return onClose.call(this, typeof hook === 'function' ? containedOnClose(hook as OnClose, report) : hook as OnClose)
  }
  Object.assign(root, { onClose: containing })
}

function containedOnClose (hook: OnClose, report: Report): OnClose {
  return (instance, done) => {
    const run = (done: End): unknown => hook(instance, done)
    callContained({ run, takesDone: hook.length > 1 }, error => {
      if (error) report(error, 'tenant failed to close')
      process.nextTick(done)
    }, report)
  }
}
