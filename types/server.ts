import type { FastifyServerOptions } from 'fastify'
import type { MultitenantOptions } from './options.ts'

/** The config of a `MultiTenantServer`. A missing value is taken from the environment, then from `.env`, then from the defaults. */
export interface ServerConfig {
  /** The folder of the project. It holds `.env` and `package.json`, and relative paths start there. Default: the working directory. */
  root?: string
  /** The HTTP server. */
  server?: {
    /** The port to listen on. 0 = any free port. Environment: `PORT`. Default: 3000. */
    port?: number
    /** The host name or address to listen on. Environment: `HOST`. Default: `'localhost'`. */
    host?: string
    /** The lowest level that is logged. Environment: `LOG_LEVEL`. Default: `'info'`. */
    logLevel?: LogLevel
    /** How long the process waits for the server to close after a signal, in ms. Must be longer than `drainTimeout` for tenants to drain first. Default: 35,000. */
    closeTimeout?: number
  }
  /** Limits. */
  security?: {
    /**
     * How many tenants with code of their own may be loaded, and as many without, unless `multitenant.maxResident` is given.
     * Environment: `MAX_CONCURRENT_TENANTS`. Default: 100.
     */
    maxConcurrentTenants?: number
    /** Whether tenant ids must be 1 to 63 letters, digits, `_` and `-`. Default: `true`. */
    validateInputs?: boolean
  }
  /** Where the tenants come from. */
  tenants?: {
    /** The folder that holds the tenants' folders. Environment: `TENANTS_PATH`. Default: `'src/tenants'`. */
    path?: string
    /** The same as `security.maxConcurrentTenants`. Default: 100. */
    maxConcurrent?: number
    /** A glob. The project's dependencies whose names match it are tenants. Default: none. */
    npmPattern?: string
  }
  /** The core plugins, which the app and all tenants share. */
  plugins?: {
    /** The folder that holds the core plugins' folders. It need not exist. Environment: `PLUGINS_PATH`. Default: `'src/plugins'`. */
    path?: string
    /** The names of the core plugins to load first, in this order. Default: `[]`. */
    coreOrder?: readonly string[]
    /** A glob. The project's dependencies whose names match it are core plugins. Default: none. */
    npmPattern?: string
    /** More core plugins, each named as `scheme:reference`. Default: `[]`. */
    load?: readonly string[]
  }
  /** More options for `Fastify()`. Default: `{}`. */
  fastify?: FastifyServerOptions
  /** More options of the plugin, such as `identify` and `configSchema`. Default: `{}`. */
  multitenant?: ServerPluginOptions
}

/** The log levels of pino: https://getpino.io/#/docs/api?id=level-string */
export type LogLevel = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent'

/** The options of the plugin that the server does not set itself. */
export type ServerPluginOptions = Omit<MultitenantOptions, 'tenants' | 'maxActive' | 'loaders' | 'validateIds'>

/** A section with every key. `npmPattern` has no default. */
type Complete<Section> = Readonly<Required<Omit<NonNullable<Section>, 'npmPattern'>>>
type WithPattern<Section> = Complete<Section> & { readonly npmPattern: string | undefined }

/** A `ServerConfig` that `ConfigurationManager` has completed, validated and frozen. */
export interface ResolvedServerConfig {
  /** The absolute path of the project's folder. */
  readonly root: string
  /** See `ServerConfig`. */
  readonly server: Complete<ServerConfig['server']>
  /** See `ServerConfig`. */
  readonly security: Complete<ServerConfig['security']>
  /** See `ServerConfig`. */
  readonly tenants: WithPattern<ServerConfig['tenants']>
  /** See `ServerConfig`. */
  readonly plugins: WithPattern<ServerConfig['plugins']>
  /** See `ServerConfig`. */
  readonly fastify: FastifyServerOptions
  /** See `ServerConfig`. */
  readonly multitenant: ServerPluginOptions
}
