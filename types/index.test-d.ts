import fastify from 'fastify'
import type { FastifyPluginAsync, FastifyRequest } from 'fastify'
import { expectAssignable, expectError, expectNotAssignable, expectType } from 'tsd'
import multitenant, {
  agree, AgreeStrategy, chain, CookieStrategy, FST_TENANT_NOT_FOUND, FST_TENANT_TEMPLATE_FAILED, HeaderStrategy, hostPatterns, HostStrategy, JwtStrategy, PathStrategy, SubdomainStrategy,
  TenantIdentificationStrategy
} from 'fastify-multitenant'
import type {
  Agreeing, DrainReport, IdentificationContext, InlineTemplate, MultitenantOptions, MultitenantStatistics, StandardConfig, Template, TemplatePluginOptions, TemplateReloadReport,
  TemplateStatistics, Templates, TenantConfig, TenantDefinition, TenantPluginOptions, TenantServices, TenantSource, Tenant, TenantManager, TenantState
} from 'fastify-multitenant'

declare module 'fastify-multitenant' {
  interface TenantConfig {
    plan: 'free' | 'pro'
  }

  interface TenantServices {
    UserService: { getUser (id: string): Promise<{ name: string }> }
  }
}

const app = fastify()

// The plugin and its options
app.register(multitenant)
app.register(multitenant, { tenants: './tenants', identify: 'subdomain', baseDomain: 'example.com' })
app.register(multitenant, { tenants: [new URL('file:///tenants'), { acme: { config: { plan: 'pro' } } }], identify: ['header', new PathStrategy(), request => request.hostname] })
app.register(multitenant, { services: ({ app, tenant }) => [app, tenant.config], order: 'registered', loadTimeout: 1, drainTimeout: 0, required: true })
app.register(multitenant, { configSchema: { type: 'object' }, autoload: { routes: { maxDepth: 1 } } })
expectError(app.register(multitenant, { tenant: './tenants' }))
expectError(app.register(multitenant, { order: 'last' }))
expectError(app.register(multitenant, { identify: 'heeder' }))
expectError(app.register(multitenant, { autoload: { routes: { dir: '/' } } }))
expectNotAssignable<MultitenantOptions>({ tenants: { acme: { id: 'acme' } } })

// Requests and their routes
app.get('/', { config: { tenant: 'required' } }, async request => {
  expectType<Tenant | null>(request.tenant)
  expectType<string | null>(request.tenantId)
  expectNotAssignable<Tenant>(request.tenant)
  return request.tenant?.config.plan
})
expectError(app.get('/', { config: { tenant: 'perhaps' } }, async () => 'no'))
app.get('/hook', { config: { identify: ['query', agree(['host', 'jwt'])], tenant: 'required' } }, async () => 'yes')
expectError(app.get('/hook', { config: { identify: 'querry' } }, async () => 'no'))

app.get('/kept', { config: { tenant: 'required', override: false } }, async () => 'kept')
expectError(app.get('/kept', { config: { override: 'no' } }, async () => 'kept'))

// The manager
expectType<TenantManager>(app.multitenant)
expectType<Promise<Tenant>>(app.multitenant.init('acme'))
expectType<Tenant | null>(app.multitenant.get('acme'))
expectType<Promise<string[]>>(app.multitenant.list())
expectType<Promise<MultitenantStatistics>>(app.multitenant.stats())
expectType<Promise<DrainReport | null>>(app.multitenant.unload('acme'))
expectType<void>(app.multitenant.setIdentificationStrategy(new HeaderStrategy()))

// A tenant, its config and its services
const tenant = await app.multitenant.init('acme')
expectType<string>(tenant.id)
expectType<TenantState>(tenant.state)
expectType<boolean>(tenant.active)
expectType<number>(tenant.generation)
expectType<'free' | 'pro'>(tenant.config.plan)
expectError(tenant.config.plann)
expectError(tenant.id = 'globex')
expectType<TenantServices['UserService']>(tenant.getService('UserService'))
expectType<unknown>(tenant.getService('Other'))
expectType<{ a: 1 }>(tenant.getService<{ a: 1 }>('Other'))
expectType<string[]>(tenant.listServices())

// Strategies
class Custom extends TenantIdentificationStrategy {
  override extractTenantId (request: FastifyRequest) {
    return request.headers['x-custom']?.toString()
  }
}
expectAssignable<TenantIdentificationStrategy>(new Custom())
expectAssignable<TenantIdentificationStrategy>({ extractTenantId: async () => null })
expectAssignable<TenantIdentificationStrategy>(chain([new Custom(), new SubdomainStrategy({ baseDomain: 'example.com' })]))
class OfHost extends TenantIdentificationStrategy {
  override extractTenantId (_request: FastifyRequest, { app, named, resolveHost }: IdentificationContext) {
    expectType<TenantIdentificationStrategy>(named('header'))
    expectType<string | null | Promise<string | null> | undefined>(resolveHost?.(app.server.toString()))
    return null
  }

  override check ({ app }: IdentificationContext) {
    app.hasDecorator('x')
  }
}
expectAssignable<TenantIdentificationStrategy>(new OfHost())
expectType<AgreeStrategy>(agree(['subdomain', new HostStrategy(), { strategy: new JwtStrategy({ claim: ['a', 'b'], namespace: 'x' }), required: true }]))
expectAssignable<Agreeing>({ strategy: new CookieStrategy({ cookie: 'org', signed: false }) })
expectError(agree([{ strategy: 'jwt', require: true }]))
expectError(agree('jwt'))
expectError(chain(['heeder']))
expectError(new CookieStrategy({ name: 'org' }))
expectError(new JwtStrategy({ claim: 7 }))
expectType<string[]>(hostPatterns('a.example'))
expectNotAssignable<TenantIdentificationStrategy>({ extractTenantId: () => 7 })
expectNotAssignable<TenantIdentificationStrategy>({})
expectError(new SubdomainStrategy())

// Sources and the code of tenants
expectAssignable<TenantSource>({ get: (id: string) => ({ id, dir: '/x' }), async * list () { yield 'acme' } })
expectAssignable<TenantSource>({ get: () => null, async * list () { yield 'acme' }, resolveHost: async host => host === 'acme.example' ? 'acme' : null })
expectNotAssignable<TenantSource>({ get: () => null, async * list () { yield 'acme' }, resolveHost: () => 7 })
expectNotAssignable<TenantSource>({ get: () => null })
expectAssignable<TenantDefinition>({ id: 'acme', config: ({ id }) => ({ plan: id === 'acme' ? 'pro' : 'free' }) })
const routes: FastifyPluginAsync<TenantPluginOptions> = async (_scope, { tenant, config }) => {
  expectType<Tenant>(tenant)
  expectType<TenantConfig>(config)
}
expectAssignable<TenantDefinition>({ id: 'acme', plugin: routes })

// Templates
app.register(multitenant, { templates: './templates', maxResident: 50_000 })
app.register(multitenant, { templates: new URL('file:///templates'), tenants: { acme: { template: 'standard', dir: './acme' } } })
expectAssignable<Templates>({ standard: { dir: './standard', config: { plan: 'free' } }, pro: {} })
expectAssignable<InlineTemplate>({ config: async ({ id }) => ({ plan: id === 'acme' ? 'pro' : 'free' }) })
expectNotAssignable<Templates>({ standard: { template: 'pro' } })
expectNotAssignable<Templates>({ standard: './standard' })
expectNotAssignable<InlineTemplate>({ config: { plan: 'none' } })
expectError(app.register(multitenant, { maxResident: '50' }))
expectNotAssignable<TenantDefinition>({ id: 'acme', template: 7 })
expectAssignable<StandardConfig>({ template: 'standard' })
const ofTemplate: FastifyPluginAsync<TemplatePluginOptions> = async (_scope, { template }) => {
  expectType<Template>(template)
  expectType<string>(template.name)
  expectType<number>(template.generation)
  expectError(template.name = 'other')
}
expectAssignable<InlineTemplate>({ plugin: ofTemplate })
expectNotAssignable<InlineTemplate>({ plugin: routes })
expectError<FastifyPluginAsync<TemplatePluginOptions>>(async (_scope, { tenant }) => tenant)
expectType<string | null>(tenant.template)
expectType<Promise<TemplateReloadReport>>(app.multitenant.reloadTemplate('standard', { code: false }))
expectError(app.multitenant.reloadTemplate())
const { generation, reloaded, failed, drain } = await app.multitenant.reloadTemplate('standard')
expectType<[number, number, string[], Promise<null>]>([generation, reloaded, failed, drain])
const { resident, templates, tenants } = await app.multitenant.stats()
expectType<number>(resident)
expectType<TemplateStatistics[]>(templates)
expectType<Array<string | null>>(tenants.map(({ template }) => template))

// Errors
const error = new FST_TENANT_NOT_FOUND('acme')
expectType<string>(error.code)
expectType<string>(error.tenantId)
expectError(new FST_TENANT_NOT_FOUND())
expectType<string>(new FST_TENANT_TEMPLATE_FAILED('standard').template)
expectError(new FST_TENANT_TEMPLATE_FAILED('standard').tenantId)
