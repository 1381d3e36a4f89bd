import { join } from 'node:path'
import closeWithGrace from 'close-with-grace'
import Fastify from 'fastify'
import { ConfigurationManager } from './configuration.ts'
import { FST_TENANT_LISTEN_FAILED, FST_TENANT_SERVER_NOT_STARTED, FST_TENANT_SERVER_STARTED } from '../errors.ts'
import { LoadProgress } from '../loading/load-progress.ts'
import { guardRegister } from '../loading/plugin-function.ts'
import { PluginManager } from '../loading/plugin-manager.ts'
import { NpmStrategy } from '../loading/strategies/npm.ts'
import multitenant from '../plugin.ts'
import { corePlugins } from './core-plugins.ts'
import { tenantSource } from './server-sources.ts'
import { ServerTenantManager } from './server-tenants.ts'
import type { FastifyInstance, FastifyServerOptions } from 'fastify'
import type { MultitenantStatistics, ReloadReport, ResolvedServerConfig, ServerConfig, Tenant } from '../../types/index.ts'

/** A Fastify app with the plugin, made from a project's folders: core plugins in `src/plugins`, tenants in `src/tenants`. */
export class MultiTenantServer {
  /** The Fastify instance. Add the routes, hooks and the error handler that all tenants share before `start()`. */
  readonly app: FastifyInstance
  /** Manages the tenants. Before `start()`, only `setIdentificationStrategy()` can be called. */
  readonly tenantManager: ServerTenantManager
  /** Loads the plugins that are named `scheme:reference`. */
  readonly pluginManager: PluginManager
  readonly #config: ResolvedServerConfig
  readonly #progress = new LoadProgress()
  #started: Promise<FastifyInstance> | undefined

  /**
   * @throws {FST_TENANT_OPTION_INVALID} when a key of `config` is invalid
   * @throws {FST_TENANT_CONFIG_INVALID} when a variable of the environment is invalid
   */
  constructor (config: ServerConfig = {}) {
    this.#config = new ConfigurationManager(config).get()
    const { root, multitenant } = this.#config
    this.app = Fastify(fastifyOptions(this.#config))
    // A plugin that throws makes the start fail. Fastify would let the error end the process.
    guardRegister(this.app, (err, message) => this.app.log.error({ err }, message))
    this.tenantManager = new ServerTenantManager(this.app, multitenant.baseDomain)
    this.pluginManager = new PluginManager({ npm: new NpmStrategy({ root }) })
    this.app.register(corePlugins, { config: this.#config, pluginManager: this.pluginManager, progress: this.#progress })
  }

  /**
   * Loads the core plugins and listens. On SIGINT and SIGTERM, the server closes after the running requests. A start that fails closes
   * everything that it has opened. Throws the errors of plugins and tenant sources too.
   * @throws {FST_TENANT_SERVER_STARTED}
   * @throws {FST_TENANT_LISTEN_FAILED}
   */
  async start (): Promise<FastifyInstance> {
    if (this.#started !== undefined) throw new FST_TENANT_SERVER_STARTED()
    this.#started = this.#start()
    return this.#started
  }

  /**
   * Waits for the running requests, unloads the tenants and closes the app.
   * @throws {FST_TENANT_SERVER_NOT_STARTED}
   */
  async stop (): Promise<void> {
    if (this.#started === undefined) throw new FST_TENANT_SERVER_NOT_STARTED()
    // `start()` has reported its own error to its caller.
    await Promise.allSettled([this.#started])
    await this.app.close()
  }

  /**
   * Returns the tenant and loads it if necessary. Throws the errors of `TenantManager.init()` too.
   * @throws {FST_TENANT_SERVER_NOT_STARTED}
   */
  async initTenant (id: string): Promise<Tenant> {
    return this.tenantManager.init(id)
  }

  /**
   * Loads the tenant again. The old generation serves requests meanwhile. Throws the errors of `TenantManager.reload()` too.
   * @throws {FST_TENANT_SERVER_NOT_STARTED}
   */
  async reloadTenant (id: string): Promise<ReloadReport> {
    return this.tenantManager.reload(id)
  }

  /**
   * Returns the statistics of `TenantManager.stats()`.
   * @throws {FST_TENANT_SERVER_NOT_STARTED}
   */
  async getTenantStats (): Promise<MultitenantStatistics> {
    return this.tenantManager.stats()
  }

  async #start (): Promise<FastifyInstance> {
    const uninstall = this.#closeOnSignals()
    try {
      this.#register(uninstall)
      await this.app.ready()
      await this.#listen()
      return this.app
    } catch (error) {
      await uninstall()
      await this.app.close()
      throw this.#progress.explain(error)
    }
  }

  /** Registers the plugin last, so that it refuses requests only after the hooks of earlier plugins, such as CORS, have run. */
  #register (uninstall: () => Promise<void>): void {
    const { multitenant: pluginOptions, root, security, tenants } = this.#config
    const options = {
      templates: join(root, 'src/templates'),
      maxResident: tenants.maxConcurrent,
      ...pluginOptions,
      tenants: tenantSource(this.#config),
      maxActive: tenants.maxConcurrent,
      loaders: this.pluginManager,
      validateIds: security.validateInputs
    }
    try {
      this.app.addHook('onClose', uninstall)
      this.app.register(multitenant, options)
    } catch (cause) {
      // The app accepts no more plugins: the caller has already called ready(), listen() or close() on it.
      throw new FST_TENANT_SERVER_STARTED({ cause })
    }
  }

  async #listen (): Promise<void> {
    const { host, port } = this.#config.server
    try {
      await this.app.listen({ host, port })
    } catch (cause) {
      throw new FST_TENANT_LISTEN_FAILED(host, port, { cause })
    }
  }

  /** Closes the server on signals and on uncaught errors. Returns a function that removes the listeners. */
  #closeOnSignals (): () => Promise<void> {
    const { log } = this.app
    // An idle event loop must not close the server: the caller of stop() may have more to do.
    const options = { delay: this.#config.server.closeTimeout, logger: log, skip: ['beforeExit' as const] }
    const { uninstall } = closeWithGrace(options, async ({ signal, err }) => {
      if (err !== undefined) log.fatal({ err }, 'closing after an uncaught error')
      else log.info({ signal }, 'closing')
      await this.stop()
    })
    return async () => uninstall()
  }
}

/** Applies the server's log level to a logger that is configured without a level. A given logger instance is left unchanged. */
function fastifyOptions ({ fastify, server }: ResolvedServerConfig): FastifyServerOptions {
  const { logger = true, loggerInstance } = fastify
  if (logger === false || loggerInstance !== undefined) return fastify
  return { ...fastify, logger: { level: server.logLevel, ...(logger === true ? {} : logger) } }
}
