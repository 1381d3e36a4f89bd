import { Reroute } from '../app/reroute.ts'
import { RouteChoice } from '../app/route-choice.ts'
import { AppAnswer } from './app-answer.ts'
import { IdentifyHook } from './identify-hook.ts'
import { NamedTenant } from './named-tenant.ts'
import { RefusalHook } from './refusal-hook.ts'
import type { PluginHooks } from '../app/hook-order.ts'
import type { ParentApp } from '../app/parent-app.ts'
import type { Identification } from '../identification/identification.ts'
import type { ResolvedOptions } from '../options.ts'
import type { TenantRegistry } from '../tenants/registry.ts'

/** Makes the onRequest hooks of the plugin: one finds the tenant of a request, the other refuses a request whose tenant could not be found. */
export function requestHooks (options: ResolvedOptions, identification: Identification, registry: TenantRegistry, parent: ParentApp): PluginHooks {
  const names = new NamedTenant(identification, registry, options.isId)
  const appAnswer = new AppAnswer(parent)
  const choice = new RouteChoice(parent.internals, new Reroute(parent, parent.order, appAnswer.resume))
  const refusals = new RefusalHook(options.order, appAnswer)
  const identify = new IdentifyHook({ options, identification, names, registry, parent, choice, appAnswer, refusals })
  return { identify: identify.run, refuse: refusals.run }
}
