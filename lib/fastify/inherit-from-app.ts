import type { FastifyInstance } from 'fastify'
import type { Internals } from './internals.ts'
import type { Hidden } from './shapes.ts'

/** The symbols that a root keeps when it inherits from an app. It reads all others from the app. */
const KEPT = new Set([
  'avvioBoot', 'children', 'state', '404', '404LogLevelInstance', '404ContextKey', 'canSetNotFoundHandler',
  'keepAliveConnections', 'pluginNameChain', 'genReqId', 'logController', 'hooks', 'acceptedHTTPMethods'
].map(name => `fastify.${name}`))

/** Properties of a root that are bound to its own schemas and options. They are removed, so that the root inherits the app's. */
const BOUND_PROPERTIES = ['getSchema', 'getSchemas', 'initialConfig']

/**
 * Makes one Fastify root inherit from an app, like a child context of it: decorators, parsers, error handler, log level.
 * The root's router, boot, close and 404 handlers stay its own.
 * @param own the values that replace those of the app
 */
export function inheritFromApp (root: FastifyInstance, app: FastifyInstance, internals: Internals, own: Pick<Hidden, 'hooks' | 'logController' | 'schemaController' | 'genReqId'>): void {
  for (const symbol of Object.getOwnPropertySymbols(root)) {
    if (symbol.description?.startsWith('fastify.') && !KEPT.has(symbol.description)) Reflect.deleteProperty(root, symbol)
  }
  for (const name of BOUND_PROPERTIES) Reflect.deleteProperty(root, name)
  Object.setPrototypeOf(root, app)

  internals.set(root, 'hooks', own.hooks)
  internals.set(root, 'logController', own.logController)
  internals.set(root, 'schemaController', own.schemaController)
  internals.set(root, 'genReqId', own.genReqId)
  const { bodyless, bodywith } = internals.get(app, 'methods')
  internals.set(root, 'methods', { bodyless: new Set(bodyless), bodywith: new Set(bodywith) })
  // Fastify looks for the dependencies of plugins there. In a child context, too, this array inherits from that of the parent.
  internals.set(root, 'registeredPlugins', Object.create(internals.get(app, 'registeredPlugins')))
  // If a context is in place, Fastify does not build the 404 router's trees for every HTTP method: 100 KB of a root's 160 KB.
  internals.set(root, 'fourOhFourContext', {} as never)
}
