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

/** An app with the plugin in it, made from a project's folders: core plugins in `src/plugins`, tenants in `src/tenants`. */
export class MultiTenantServer {
  /** The Fastify instance, for routes, hooks and an error handler that all tenants share: to be set before `start()`. */
  readonly app: FastifyInstance
  /** The tenants; before `start()` only `setIdentificationStrategy()` can be called. */
  readonly tenantManager: ServerTenantManager
  /** The strategies that load plugins named as `scheme:reference`. */
  readonly pluginManager: PluginManager
  readonly #config: ResolvedServerConfig
  readonly #progress = new LoadProgress()
  #started: Promise<FastifyInstance> | undefined

  /** @throws FST_TENANT_OPTION_INVALID, FST_TENANT_CONFIG_INVALID as `ConfigurationManager` */
  constructor (config: ServerConfig = {}) {
    this.#config = new ConfigurationManager(config).get()
    const { root, multitenant } = this.#config
    this.app = Fastify(fastifyOptions(this.#config))
    // A plugin that throws is a start that fails; Fastify would let it end the process.
    guardRegister(this.app, (err, message) => this.app.log.error({ err }, message))
    this.tenantManager = new ServerTenantManager(this.app, multitenant.baseDomain)
    this.pluginManager = new PluginManager({ npm: new NpmStrategy({ root }) })
    this.app.register(corePlugins, { config: this.#config, pluginManager: this.pluginManager, progress: this.#progress })
  }

  /**
   * Loads the core plugins, listens, and closes on SIGINT and SIGTERM, after the requests that run then. When it fails, nothing
   * is left open.
   * @throws FST_TENANT_SERVER_STARTED, FST_TENANT_LISTEN_FAILED, and what a plugin or a source of tenants throws
   */
  async start (): Promise<FastifyInstance> {
    if (this.#started !== undefined) throw new FST_TENANT_SERVER_STARTED()
    this.#started = this.#start()
    return this.#started
  }

  /** Ends the requests that run, unloads the tenants and closes the app. @throws FST_TENANT_SERVER_NOT_STARTED */
  async stop (): Promise<void> {
    if (this.#started === undefined) throw new FST_TENANT_SERVER_NOT_STARTED()
    // Why it could not be started is told to those who started it.
    await Promise.allSettled([this.#started])
    await this.app.close()
  }

  /** The tenant, loaded when it is not. @throws as `TenantManager.init()`, FST_TENANT_SERVER_NOT_STARTED */
  async initTenant (id: string): Promise<Tenant> {
    return this.tenantManager.init(id)
  }

  /** Loads the tenant anew; it takes its requests all the while. @throws as `TenantManager.reload()`, FST_TENANT_SERVER_NOT_STARTED */
  async reloadTenant (id: string): Promise<ReloadReport> {
    return this.tenantManager.reload(id)
  }

  /** How many tenants there are and are loaded, and how they do. @throws FST_TENANT_SERVER_NOT_STARTED */
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

  /** The plugin comes last: what refuses a request then runs after the hooks of all that was registered before, CORS for one. */
  #register (uninstall: () => Promise<void>): void {
    const { multitenant: given, security, tenants } = this.#config
    const options = {
      ...given,
      tenants: tenantSource(this.#config),
      maxActive: tenants.maxConcurrent,
      loaders: this.pluginManager,
      validateIds: security.validateInputs
    }
    try {
      this.app.addHook('onClose', uninstall)
      this.app.register(multitenant, options)
    } catch (cause) {
      // The app takes no more: whoever made the server has called its ready(), listen() or close().
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

  /** The function it answers with leaves signals alone again. */
  #closeOnSignals (): () => Promise<void> {
    const { log } = this.app
    // The server does not end because nothing else is to be done: whoever stops it may have more to do.
    const options = { delay: this.#config.server.closeTimeout, logger: log, skip: ['beforeExit' as const] }
    const { uninstall } = closeWithGrace(options, async ({ signal, err }) => {
      if (err !== undefined) log.fatal({ err }, 'closing after an error that nobody has caught')
      else log.info({ signal }, 'closing')
      await this.stop()
    })
    return async () => uninstall()
  }
}

/** The server's log level holds for a logger that is configured without one, and for none that is made already. */
function fastifyOptions ({ fastify, server }: ResolvedServerConfig): FastifyServerOptions {
  const { logger = true, loggerInstance } = fastify
  if (logger === false || loggerInstance !== undefined) return fastify
  return { ...fastify, logger: { level: server.logLevel, ...(logger === true ? {} : logger) } }
}
