import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { ParentApp } from './app/parent-app.ts'
import { descendantsOf } from './fastify/descendants-of.ts'
import { HostLookup } from './hosts/host-lookup.ts'
import { Identification } from './identification/identification.ts'
import { TenantManager } from './manager.ts'
import { resolveOptions } from './options.ts'
import { FastPath } from './request/fast-path.ts'
import { requestHooks } from './request/request-hooks.ts'
import { BootContext } from './generations/boot-context.ts'
import { Changes } from './tenants/changes.ts'
import { Definitions } from './tenants/definitions.ts'
import { EvictionPolicy } from './tenants/eviction-policy.ts'
import { Lookups } from './tenants/lookups.ts'
import { TemplateLoader } from './templates/template-loader.ts'
import { TemplateRetirement } from './templates/template-retirement.ts'
import { Templates } from './templates/templates.ts'
import { LoadContext } from './generations/load-context.ts'
import { TenantLoader } from './tenants/loader.ts'
import { preload } from './tenants/preload.ts'
import { reachability, warnOfMissingTenants } from './tenants/reachability.ts'
import { Refusals } from './tenants/refusals.ts'
import { TenantRegistry } from './tenants/registry.ts'
import { Retirement } from './tenants/retirement.ts'
import type { ResolvedOptions } from './options.ts'
import { TenantFunctions } from './tenants/tenant-functions.ts'
import type { TenantSlot } from './tenants/tenant-slot.ts'
import type { MultitenantOptions } from '../types/index.ts'

/** Makes each object from objects made before it, then adds the decorator and the hooks. */
async function multitenant (app: FastifyInstance, opts: MultitenantOptions): Promise<void> {
  const boot = new BootContext()
  const resolved = resolveOptions(opts, app.prefix)
  const options = { ...resolved, source: boot.wrap(resolved.source) }
  await openSource(app, options)

  decorateRequests(app)
  const parent = new ParentApp(app, options.order)
  // A decorator of the app does not reach the children that it already has.
  descendantsOf(app, parent.internals).forEach(decorateRequests)

  const loads = new LoadContext(boot)
  const refusals = new Refusals(options.maxInFlight, loads)
  const definitions = new Definitions(options, refusals, app.log)
  const lookups = new Lookups(definitions, options, boot)
  const slots = new Map<string, TenantSlot>()
  const functions = new TenantFunctions(slots, refusals, parent.hasLogger)
  const templateRetirement = new TemplateRetirement(options, app.log, boot)
  const templateLoader = new TemplateLoader({ options, boot, parent, loads, functions, retirement: templateRetirement, onLoaded: name => refusals.templateLoaded(name) })
  const templates = new Templates(templateLoader, loads)
  const evictionPolicy = new EvictionPolicy(options, slots)
  const retirement = new Retirement(options, app.log, boot)
  const loader = new TenantLoader({ options, boot, parent, loads, functions, templates, refusals, lookups, evictionPolicy, retirement })
  const registry = new TenantRegistry({ options, boot, slots, templates, refusals, definitions, lookups, evictionPolicy, loader, retirement })

  const hosts = hostLookup(app, options)
  const identification = new Identification(options.strategy, options.toStrategy, { app, named: options.named, resolveHost: hosts?.find })
  const hooks = requestHooks(options, identification, registry, parent)
  const fastPath = new FastPath(identification, registry, parent)
  const changes = new Changes({ options, refusals, loader, templateLoader, templates, registry, hosts, log: app.log })
  const manager = new TenantManager({ parent, options, boot, refusals, loader, registry, templates, evictionPolicy, identification })

  app.decorate('multitenant', manager)
  parent.addHooks(hooks)
  app.addHook('onReady', async () => identification.open(parent.routeConfigs()))
  app.addHook('onReady', async () => fastPath.start())
  // Not awaited: a source that hangs must not keep the app from becoming ready.
  app.addHook('onReady', async () => { warnOfMissingTenants(options, app.log) })
  app.addHook('onReady', () => preload(app, manager, options, evictionPolicy))
  app.addHook('onListen', async () => registry.onListen())
  app.addHook('preClose', () => registry.preClose())
  // Fastify runs the last onClose hook first: changes stop before the tenants close.
  app.addHook('onClose', () => registry.close())
  app.addHook('onClose', () => changes.close())
}

async function openSource (app: FastifyInstance, { source, strategy }: ResolvedOptions): Promise<void> {
  try {
    await source.open?.({ log: app.log, ...reachability(strategy) })
  } catch (error) {
    // Close the sources that opened before the failure; their connections would keep the process alive.
    const closing = (async () => source.close?.())()
    await closing.catch(err => app.log.error({ err }, 'the source of tenants failed to close'))
    throw error
  }
}

/** Returns `undefined` when the source of tenants knows no hosts. */
function hostLookup (app: FastifyInstance, { source, loadTimeout }: ResolvedOptions): HostLookup | undefined {
  if (source.resolveHost === undefined) return undefined
  return new HostLookup({ resolveHost: source.resolveHost.bind(source), timeout: loadTimeout, log: app.log })
}

function decorateRequests (app: FastifyInstance): void {
  app.decorateRequest('tenant', null)
  app.decorateRequest('tenantId', null)
}

/** Makes one Fastify app serve many tenants, each with its own plugins, routes, schemas, services and config. */
export default fp(multitenant, { fastify: '^5.12.1', name: 'fastify-multitenant' })
