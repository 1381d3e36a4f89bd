import type { FastifyInstance, FastifyRequest } from 'fastify'
import { expectAssignable, expectError, expectNotAssignable, expectType } from 'tsd'
import {
  ConfigurationManager, FileStrategy, FST_TENANT_SERVER_STARTED, HeaderStrategy, MultiTenantServer, NpmStrategy, PluginLoadingStrategy,
  PluginManager, TenantIdentificationStrategy
} from 'fastify-multitenant'
import type {
  HeaderStrategyOptions, LogLevel, MultitenantStatistics, NpmStrategyOptions, PathStrategyOptions, PluginContext, PluginLoaders,
  QueryStrategyOptions, ReloadReport, ResolvedServerConfig, ServerConfig, ServerPluginOptions, SubdomainStrategyOptions, Tenant
} from 'fastify-multitenant'

// A server
const server = new MultiTenantServer()
expectType<FastifyInstance>(server.app)
expectType<PluginManager>(server.pluginManager)
expectType<Promise<FastifyInstance>>(server.start())
expectType<Promise<void>>(server.stop())
expectType<Promise<Tenant>>(server.initTenant('acme'))
expectType<Promise<ReloadReport>>(server.reloadTenant('acme'))
expectType<Promise<MultitenantStatistics>>(server.getTenantStats())
expectError(server.app = new MultiTenantServer().app)
expectError(server.initTenant())

// Its tenants
expectType<void>(server.tenantManager.setIdentificationStrategy('query'))
expectType<Tenant | null>(server.tenantManager.get('acme'))
expectType<Promise<number>>(server.tenantManager.run('acme', async (tenant, signal) => {
  expectType<Tenant>(tenant)
  expectType<AbortSignal>(signal)
  return 7
}))
expectError(server.tenantManager.setIdentificationStrategy('smell'))

// Its configuration
expectAssignable<ServerConfig>({ server: { port: 3000 }, security: { maxConcurrentTenants: 100 } })
expectAssignable<ServerConfig>({ tenants: { npmPattern: 'fastify-multitenant-*' }, plugins: { coreOrder: ['database'] as const, load: ['npm:audit'] } })
expectAssignable<ServerConfig>({ fastify: { bodyLimit: 1 }, multitenant: { required: true, identify: ['header', new HeaderStrategy()] } })
expectError(new MultiTenantServer({ sever: {} }))
expectError(new MultiTenantServer({ server: { port: '3000' } }))
expectError(new MultiTenantServer({ server: { logLevel: 'loud' } }))
expectError(new MultiTenantServer({ multitenant: { tenants: './tenants' } }))
expectNotAssignable<ServerPluginOptions>({ maxActive: 7 })

const config = new ConfigurationManager({ security: { validateInputs: true } })
expectType<ResolvedServerConfig>(config.get())
expectType<number>(config.get().server.port)
expectType<LogLevel>(config.get('server').logLevel)
expectType<boolean>(config.get('security').validateInputs)
expectType<string | undefined>(config.get('tenants').npmPattern)
expectAssignable<ServerConfig>(config.get())
expectError(config.get('secrets'))
expectError(config.get().server.port = 7)
expectType<MultiTenantServer>(new MultiTenantServer(config.get()))

// Identification
class ByHeader extends TenantIdentificationStrategy {
  override extractTenantId (request: FastifyRequest): string {
    return request.headers['x-custom-tenant']?.toString() ?? 'default'
  }
}
server.tenantManager.setIdentificationStrategy(new ByHeader())
expectError(server.tenantManager.setIdentificationStrategy(ByHeader))
expectNotAssignable<new () => TenantIdentificationStrategy>(TenantIdentificationStrategy)
expectType<HeaderStrategyOptions | undefined>({} as ConstructorParameters<typeof HeaderStrategy>[0])
expectAssignable<PathStrategyOptions>({ prefix: '/api' })
expectAssignable<QueryStrategyOptions>({ parameter: 'customer' })
expectAssignable<SubdomainStrategyOptions>({ baseDomain: 'example.com' })
expectNotAssignable<SubdomainStrategyOptions>({})

// Plugin loading
class FromBucket extends PluginLoadingStrategy {
  override async loadPlugin (app: FastifyInstance, reference: string, options: object, context: PluginContext): Promise<void> {
    expectType<string | undefined>(context.dir)
    await app.register(async () => {}, { ...options, reference })
  }
}
expectType<PluginManager>(server.pluginManager.addStrategy('s3', new FromBucket()))
expectAssignable<PluginLoaders>({ file: new FileStrategy(), npm: new NpmStrategy({ root: '/srv' }), s3: new FromBucket() })
expectAssignable<NpmStrategyOptions>({})
expectError(server.pluginManager.addStrategy('s3', FromBucket))
expectError(server.pluginManager.addStrategy('s3', {}))
expectNotAssignable<new () => PluginLoadingStrategy>(PluginLoadingStrategy)

// Errors
expectType<string>(new FST_TENANT_SERVER_STARTED().code)
