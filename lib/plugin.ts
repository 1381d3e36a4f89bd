import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { descendantsOf } from './fastify/descendants-of.ts'
import { HostLookup } from './hosts/host-lookup.ts'
import { Identification } from './identification/identification.ts'
import { resolveOptions } from './options.ts'
import { requestHooks } from './request/request-hooks.ts'
import { ParentApp } from './app/parent-app.ts'
import { FastPath } from './request/fast-path.ts'
import { BootContext } from './tenants/boot-context.ts'
import { TenantLoader } from './tenants/loader.ts'
import { Definitions } from './tenants/definitions.ts'
import { TenantManager } from './manager.ts'
import { preload } from './tenants/preload.ts'
import { TenantRegistry } from './tenants/registry.ts'
import { Retirement } from './tenants/retirement.ts'
import { SourceChanges } from './tenants/source-changes.ts'
import { reachableBy, warnOfUnreachable } from './tenants/unreachable.ts'
import { FolderChanges } from './tenants/folder-changes.ts'
import type { ResolvedOptions } from './options.ts'
import type { MultitenantOptions } from '../types/index.ts'

async function multitenant (app: FastifyInstance, opts: MultitenantOptions): Promise<void> {
  const boot = new BootContext()
  const resolved = resolveOptions(opts, app.prefix)
  const options = { ...resolved, source: boot.wrap(resolved.source) }
  await openSource(app, options)

  decorateRequests(app)
  const host = new ParentApp(app)
  descendantsOf(app, host.internals).forEach(decorateRequests)
  const definitions = new Definitions(options, app.log)
  const retirement = new Retirement(options, app.log, boot)
  const builder: TenantLoader = new TenantLoader({
    options,
    boot,
    log: app.log,
    definitions,
    retirement,
    watcher: options.watch ? new FolderChanges(id => manager.reload(id), id => registry.isKnown(id), app.log) : undefined,
    createScope: id => host.createScope({ id, pluginTimeout: options.loadTimeout, admit: () => registry.admission.admit(id), end: isEnding => registry.end(id, isEnding) }),
    isListening: () => app.server.listening
  })
  const registry: TenantRegistry = new TenantRegistry({ options, definitions, builder, retirement })
  const hosts = hostLookup(app, options)
  const identification = new Identification(options.strategy, options.toStrategy, { app, named: options.named, resolveHost: hosts?.find })
  const hooks = requestHooks(options, identification, registry, host)
  const shortCut = new FastPath(identification, registry, host)
  const sourceWatch = new SourceChanges({ source: options.source, definitions, builder, registry, hosts, log: app.log })
  const manager: TenantManager = new TenantManager({ host, options, boot, definitions, builder, registry, identification })

  app.decorate('multitenant', manager)
  host.addHooks(hooks, options.order)
  app.addHook('onReady', async () => identification.open(host.routeConfigs()))
  app.addHook('onReady', async () => shortCut.start())
  // Not waited for: a source that hangs must not keep the app from becoming ready.
  app.addHook('onReady', async () => { warnOfUnreachable(options, app.log) })
  app.addHook('onReady', () => preload(app, manager, options))
  app.addHook('onListen', async () => registry.onListen())
  app.addHook('preClose', () => registry.preClose())
  app.addHook('onClose', () => registry.close())
  app.addHook('onClose', async () => sourceWatch.close())
}

async function openSource (app: FastifyInstance, { source, strategy }: ResolvedOptions): Promise<void> {
  try {
    await source.open?.({ log: app.log, ...reachableBy(strategy) })
  } catch (error) {
    // Of several sources, those before the one that failed are open: a connection would keep the process from its end.
    const closing = (async () => source.close?.())()
    await closing.catch(err => app.log.error({ err }, 'the source of tenants failed to close'))
    throw error
  }
}

/** What the hosts of requests are looked up with; `undefined` when the source of tenants knows none. */
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
