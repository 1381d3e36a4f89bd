import type { IncomingMessage } from 'node:http'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { FST_TENANT_FASTIFY_UNSUPPORTED } from '../errors.ts'
import { createDefaultFastify } from './create-quietly.ts'
import type { Constructor, Hidden, RouteContext } from './shapes.ts'

/** The symbols of a Fastify instance that this package uses, by their descriptions. docs/internals.md says why it needs each. */
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

/** Reads and writes the properties that Fastify hides behind symbols. No other file of the package knows these symbols. */
export class Internals {
  readonly #symbols: Record<keyof Hidden, symbol>
  readonly #routeContext: symbol
  readonly #genReqId: symbol

  /**
   * Finds each symbol by its description.
   * @param app an instance whose requests have been decorated
   * @throws {FST_TENANT_FASTIFY_UNSUPPORTED} when a symbol is missing, or when `app` and this package use different copies of Fastify
   */
  constructor (app: FastifyInstance) {
    const names = Object.keys(INSTANCE) as Array<keyof typeof INSTANCE>
    const symbols = Object.fromEntries(names.map(name => [name, find(app, INSTANCE[name], app.version)])) as Record<keyof Hidden, symbol>
    const Request = (app as unknown as Record<symbol, Constructor>)[symbols.Request] as Constructor
    symbols.hasBeenDecorated = find(Request, 'fastify.hasBeenDecorated', app.version)
    symbols.routeContext = find(new Request(), 'fastify.context', app.version)
    this.#symbols = symbols
    this.#routeContext = symbols.routeContext
    this.#genReqId = symbols.genReqId
    if (symbols.hooks in createDefaultFastify()) return
    throw new FST_TENANT_FASTIFY_UNSUPPORTED("The app and the plugin use different copies of Fastify: the app's hooks were", app.version)
  }

  /** Returns the context of the request's current route. It runs on each request, so it has a symbol of its own that V8 can inline. */
  contextOf (request: FastifyRequest): RouteContext {
    return (request as unknown as Record<symbol, RouteContext>)[this.#routeContext] as RouteContext
  }

  /** Generates the id of a request as the instance does. It runs on each request, too. */
  generateId (instance: FastifyInstance, raw: IncomingMessage): string {
    return (instance as unknown as Record<symbol, Hidden['genReqId']>)[this.#genReqId]!(raw)
  }

  get<Name extends keyof Hidden> (holder: object, name: Name): Hidden[Name] {
    return (holder as Record<symbol, Hidden[Name]>)[this.#symbols[name]] as Hidden[Name]
  }

  set<Name extends keyof Hidden> (holder: object, name: Name, value: Hidden[Name]): void {
    (holder as Record<symbol, Hidden[Name]>)[this.#symbols[name]] = value
  }
}

/** Looks for the symbol on an object and its prototypes. */
function find (holder: object, description: string, version: string): symbol {
  for (let object: object | null = holder; object !== null; object = Object.getPrototypeOf(object)) {
    const symbol = Object.getOwnPropertySymbols(object).find(symbol => symbol.description === description)
    if (symbol !== undefined) return symbol
  }
  throw new FST_TENANT_FASTIFY_UNSUPPORTED(`Symbol(${description})`, version)
}
