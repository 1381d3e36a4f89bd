import plugin from './lib/plugin.ts'

export default plugin
export { plugin as fastifyMultitenant }
export * from './lib/errors.ts'
export { TenantIdentificationStrategy } from './lib/identification/strategy.ts'
export { chain, ChainStrategy } from './lib/identification/chain.ts'
export { HeaderStrategy } from './lib/identification/header.ts'
export { PathStrategy } from './lib/identification/path.ts'
export { QueryStrategy } from './lib/identification/query.ts'
export { SubdomainStrategy } from './lib/identification/subdomain.ts'
export { Tenant } from './lib/tenants/tenant.ts'
export { TenantManager } from './lib/tenants/manager.ts'
export type * from './types/index.ts'
