import type { IncomingMessage, ServerResponse } from 'node:http'
import type { FastifyContextConfig, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

/** Fastify's handler for every matched route. find-my-way calls it with the context that it stored and the parameters that it parsed. */
export type RouteHandler = (raw: IncomingMessage, rawReply: ServerResponse, params: unknown, context: RouteContext | null, query: unknown) => void

/** An onRequest hook in its callback form. */
export type OnRequestHook = (request: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void) => void

/** Fastify's own data about a route. The config of a 404 handler has no `url` and no `method`. */
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
  /** `null` when find-my-way itself answers the URL because a parameter is too long. */
  store: RouteContext | null
  searchParams: unknown
}

/** A constraint strategy in find-my-way. */
export interface ConstraintStrategy { name: string, isCustom?: boolean }

/** The members of find-my-way's router that this package uses. */
export interface Router {
  find (method: string | undefined, url: string | undefined, constraints: unknown): RouteMatch | null
  defaultRoute: (raw: IncomingMessage, rawReply: ServerResponse) => void
  all (url: string, handler: RouteHandler, store: RouteContext): void
  routes: Array<{ store: RouteContext }>
  /** The root node of the tree of each HTTP method. */
  trees: Record<string, object>
  constrainer: {
    strategies: Record<string, ConstraintStrategy>
    asyncStrategiesInUse: Set<string>
    deriveConstraints (raw: IncomingMessage, context?: undefined, done?: (error: Error | null, constraints: unknown) => void): unknown
  }
}

/** A queue of avvio's. Its functions read `paused`, `drain`, `saturated` and `empty` from it, and the others from a closure. */
export type BootQueue = Record<string, unknown>

/** The members of avvio's boot object that this package uses. */
export interface Boot {
  /** Ends the loading of the root. Each `ready()` and `close()` calls it again, without effect. */
  _doStart: () => void
  _lastUsed: unknown
  _readyQ: BootQueue
  _closeQ: BootQueue
  pluginTree: { prettyPrint: () => string }
}

/** The hooks of one Fastify instance, by name. */
export type HookLists = Record<string, unknown[]> & { onRequest: OnRequestHook[] }

/** A class of Fastify's requests or replies. */
export interface Constructor {
  new (...parameters: unknown[]): object
  prototype: object
  /** The decorators with a value that each new object gets as a property. */
  props: Array<{ key: string | symbol, value: unknown }>
}

/** Compiles a route's schema into a function that validates or serializes. */
export type Compile = (route: { schema: unknown }) => unknown

/** Builds a compiler. It gets the shared schemas, which routes may refer to, and the options of the app. */
export type BuildCompiler = (schemas: unknown, options: unknown) => Compile

/** The functions that build an instance's schema compilers. */
export interface CompilersFactory { buildValidator?: BuildCompiler, buildSerializer?: unknown }

/** Holds an instance's schemas and compiles them. */
export interface SchemaController {
  constructor: Function
  parent?: SchemaController | undefined
  /** The options from the controller's creation. A compiler that was set later is only in `compilersFactory`. */
  opts: { compilersFactory?: CompilersFactory }
  compilersFactory: CompilersFactory
  isCustomValidatorCompiler: boolean
}

/** The values behind the symbols that this package uses. */
export interface Hidden {
  options: { routerOptions: Record<string, unknown>, logger: unknown } & Record<string, unknown>
  hooks: HookLists
  schemaController: SchemaController
  children: FastifyInstance[]
  avvioBoot: (this: FastifyInstance, callback: unknown) => unknown
  state: { closing: boolean, booting: boolean, started: boolean }
  fourOhFour: { router: Router, setNotFoundHandler: (this: FastifyInstance, options: unknown, handler: unknown, boot: Boot, routeHandler: RouteHandler) => void }
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
