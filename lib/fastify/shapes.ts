import type { IncomingMessage, ServerResponse } from 'node:http'
import type { FastifyContextConfig, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Build } from './compiler.ts'

/** Fastify's entry into a matched route; find-my-way calls it with what it stored and parsed. */
export type RouteHandler = (raw: IncomingMessage, rawReply: ServerResponse, params: unknown, context: RouteContext | null, query: unknown) => void

/** An onRequest hook in its callback form. */
export type OnRequestHook = (request: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void) => void

/** What Fastify keeps of a route; `url` and `method` are missing in the config of a 404 handler. */
export interface RouteContext {
  config: FastifyContextConfig & { url?: string, method?: string | string[] }
  server: FastifyInstance
  Request: Constructor
  Reply: Constructor
  childLoggerFactory: unknown
  handler: unknown
  onRequest: OnRequestHook[] | null
  onRequestAbort: unknown[] | null
  onResponse: unknown[] | null
  onSend: unknown[] | null
}

/** A route that find-my-way found. */
export interface RouteMatch {
  handler: RouteHandler
  params: unknown
  /** `null` when the match is find-my-way's own answer to a URL that no route can take (a parameter that is too long). */
  store: RouteContext | null
  searchParams: unknown
}

/** A constraint strategy as find-my-way keeps it. */
export interface ConstraintStrategy { name: string, isCustom?: boolean }

/** The parts of find-my-way's router that are used here. */
export interface Router {
  find (method: string | undefined, url: string | undefined, constraints: unknown): RouteMatch | null
  defaultRoute: (raw: IncomingMessage, rawReply: ServerResponse) => void
  all (url: string, handler: RouteHandler, store: RouteContext): void
  routes: Array<{ store: RouteContext }>
  constrainer: {
    strategies: Record<string, ConstraintStrategy>
    asyncStrategiesInUse: Set<string>
    deriveConstraints (raw: IncomingMessage, context?: undefined, done?: (error: Error | null, constraints: unknown) => void): unknown
  }
}

/** The lists of hooks of one Fastify instance, by name. */
export type HookLists = Record<string, unknown[]> & { onRequest: OnRequestHook[] }

/** A class that Fastify makes its requests or replies with. */
export interface Constructor {
  new (...parameters: unknown[]): object
  prototype: object
  props: Array<{ key: string | symbol, value: unknown }>
}

/** What makes compilers of schemas. */
export interface CompilersFactory { buildValidator?: Build, buildSerializer?: unknown }

/** Where an instance keeps its schemas, and what compiles them. */
export interface SchemaController {
  constructor: Function
  parent?: SchemaController | undefined
  /** What was given to the controller; a compiler that was set later is in a factory of its own. */
  opts: { compilersFactory?: CompilersFactory }
  compilersFactory: CompilersFactory
  isCustomValidatorCompiler: boolean
}

/** What is behind the symbols that are used here. */
export interface Hidden {
  options: { routerOptions: Record<string, unknown>, logger: unknown } & Record<string, unknown>
  hooks: HookLists
  schemaController: SchemaController
  children: FastifyInstance[]
  avvioBoot: (this: FastifyInstance, callback: unknown) => unknown
  state: { closing: boolean, booting: boolean, started: boolean }
  fourOhFour: { router: Router, setNotFoundHandler: (this: FastifyInstance, options: unknown, handler: unknown, avvio: unknown, routeHandler: RouteHandler) => void }
  fourOhFourContext: RouteContext
  canSetNotFoundHandler: boolean
  logController: Record<string, unknown>
  genReqId: (raw: IncomingMessage) => string
  methods: { bodyless: Set<string>, bodywith: Set<string> }
  registeredPlugins: string[]
  Request: Constructor
  Reply: Constructor
  errorHandler: unknown
  childLoggerFactory: unknown
  hasBeenDecorated: boolean
  routeContext: RouteContext
}
