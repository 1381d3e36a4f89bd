import Fastify from 'fastify'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { FST_TENANT_FASTIFY_UNSUPPORTED } from '../errors.ts'
import { createQuietly } from './create-quietly.ts'
import type { Constructor, Hidden, RouteContext } from './shapes.ts'

const INSTANCE = {
  options: 'fastify.options',
  hooks: 'fastify.hooks',
  schemaController: 'fastify.schemaController',
  children: 'fastify.children',
  avvioBoot: 'fastify.avvioBoot',
  state: 'fastify.state',
  fourOhFour: 'fastify.404',
  fourOhFourContext: 'fastify.404ContextKey',
  canSetNotFoundHandler: 'fastify.canSetNotFoundHandler',
  logController: 'fastify.logController',
  genReqId: 'fastify.genReqId',
  methods: 'fastify.acceptedHTTPMethods',
  registeredPlugins: 'registered-plugin',
  Request: 'fastify.Request',
  Reply: 'fastify.Reply',
  errorHandler: 'fastify.errorHandler',
  childLoggerFactory: 'fastify.childLoggerFactory'
} as const

/** Reads and writes what Fastify hides behind symbols: the one door to its internals. */
export class Internals {
  readonly #symbols: Record<keyof Hidden, symbol>
  readonly #routeContext: symbol

  /**
   * Looks every symbol up by its description.
   * @param app an instance whose requests have been decorated
   * @throws FST_TENANT_FASTIFY_UNSUPPORTED when one is missing, or when `app` is of another copy of Fastify than this package's
   */
  constructor (app: FastifyInstance) {
    const names = Object.keys(INSTANCE) as Array<keyof typeof INSTANCE>
    const symbols = Object.fromEntries(names.map(name => [name, find(app, INSTANCE[name], app.version)])) as Record<keyof Hidden, symbol>
    const Request = (app as unknown as Record<symbol, Constructor>)[symbols.Request] as Constructor
    symbols.hasBeenDecorated = find(Request, 'fastify.hasBeenDecorated', app.version)
    symbols.routeContext = find(new Request(), 'fastify.context', app.version)
    this.#symbols = symbols
    this.#routeContext = symbols.routeContext
    if (symbols.hooks in createQuietly(() => Fastify())) return
    throw new FST_TENANT_FASTIFY_UNSUPPORTED('The app is of another copy of Fastify than the plugin: its hooks were', app.version)
  }

  /** The route that a request is at. Asked for on each request, so V8 should see one symbol here and no other. */
  contextOf (request: FastifyRequest): RouteContext {
    return (request as unknown as Record<symbol, RouteContext>)[this.#routeContext] as RouteContext
  }

  get<Name extends keyof Hidden> (holder: object, name: Name): Hidden[Name] {
    return (holder as Record<symbol, Hidden[Name]>)[this.#symbols[name]] as Hidden[Name]
  }

  set<Name extends keyof Hidden> (holder: object, name: Name, value: Hidden[Name]): void {
    (holder as Record<symbol, Hidden[Name]>)[this.#symbols[name]] = value
  }
}

function find (holder: object, description: string, version: string): symbol {
  for (let object: object | null = holder; object !== null; object = Object.getPrototypeOf(object)) {
    const symbol = Object.getOwnPropertySymbols(object).find(symbol => symbol.description === description)
    if (symbol !== undefined) return symbol
  }
  throw new FST_TENANT_FASTIFY_UNSUPPORTED(`Symbol(${description})`, version)
}
