import type { FastifyServerOptions } from 'fastify'
import type { MultitenantOptions } from './options.ts'

/** What a `MultiTenantServer` is made with. What is not given comes from the environment, then from `.env`, then it is the default. */
export interface ServerConfig {
  /** The folder of the project, where relative paths start and `.env` and `package.json` are. Default: the working directory. */
  root?: string
  server?: {
    /** 0 = any free one. Environment: `PORT`. Default: 3000. */
    port?: number
    /** Environment: `HOST`. Default: `'localhost'`. */
    host?: string
    /** Environment: `LOG_LEVEL`. Default: `'info'`. */
    logLevel?: LogLevel
    /** How long a signal waits for the server to close, in ms; longer than `drainTimeout`, which comes first then. Default: 35 000. */
    closeTimeout?: number
  }
  security?: {
    /** How many tenants stay loaded. Environment: `MAX_CONCURRENT_TENANTS`. Default: 100. */
    maxConcurrentTenants?: number
    /** Whether tenant ids are 1 to 63 letters, digits, `_` and `-`. Default: `true`. */
    validateInputs?: boolean
  }
  tenants?: {
    /** The folder of the tenants' folders. Environment: `TENANTS_PATH`. Default: `'src/tenants'`. */
    path?: string
    /** The same as `security.maxConcurrentTenants`. */
    maxConcurrent?: number
    /** The dependencies that match this glob are tenants. Default: none. */
    npmPattern?: string
  }
  plugins?: {
    /** The folder of the core plugins' folders; it may be missing. Environment: `PLUGINS_PATH`. Default: `'src/plugins'`. */
    path?: string
    /** The core plugins to load first, in this order. Default: `[]`. */
    coreOrder?: readonly string[]
    /** The dependencies that match this glob are core plugins. Default: none. */
    npmPattern?: string
    /** More core plugins, each named as `scheme:reference`. Default: `[]`. */
    load?: readonly string[]
  }
  /** More options for `Fastify()`. Default: `{}`. */
  fastify?: FastifyServerOptions
  /** More options of the plugin: `identify`, `configSchema`, … Default: `{}`. */
  multitenant?: ServerPluginOptions
}

/** The levels of the log: https://getpino.io/#/docs/api?id=level-string */
export type LogLevel = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent'

/** The options of the plugin that the server does not set itself. */
export type ServerPluginOptions = Omit<MultitenantOptions, 'tenants' | 'maxActive' | 'loaders' | 'validateIds'>

/** A section with every key in it. There is no default for `npmPattern`. */
type Complete<Section> = Readonly<Required<Omit<NonNullable<Section>, 'npmPattern'>>>
type WithPattern<Section> = Complete<Section> & { readonly npmPattern: string | undefined }

/** What `ConfigurationManager` makes of a `ServerConfig`: complete, checked and frozen. */
export interface ResolvedServerConfig {
  /** An absolute path. */
  readonly root: string
  readonly server: Complete<ServerConfig['server']>
  readonly security: Complete<ServerConfig['security']>
  readonly tenants: WithPattern<ServerConfig['tenants']>
  readonly plugins: WithPattern<ServerConfig['plugins']>
  readonly fastify: FastifyServerOptions
  readonly multitenant: ServerPluginOptions
}
