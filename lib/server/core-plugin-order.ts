import { FST_TENANT_PLUGIN_FAILED } from '../errors.ts'

/** A folder of core plugins, by the names that `fastify-plugin` gave to them, and the names of those that they depend on. */
export interface CorePlugin {
  /** The name of the folder. */
  name: string
  names: readonly string[]
  dependencies: readonly string[]
}

/**
 * The folders in the order given, except that each comes after those that it depends on. A dependency that no folder has may be in the
 * app: Fastify checks it. Throws FST_TENANT_PLUGIN_FAILED, naming the folders, when they depend on each other in a circle.
 */
export function inDependencyOrder<Plugin extends CorePlugin> (plugins: readonly Plugin[]): Plugin[] {
  const ordered = new Set<Plugin>()
  for (const plugin of plugins) place(plugin, plugins, ordered, [])
  return [...ordered]
}

function place<Plugin extends CorePlugin> (plugin: Plugin, plugins: readonly Plugin[], ordered: Set<Plugin>, dependents: readonly Plugin[]): void {
  if (dependents.includes(plugin)) {
    const circle = [...dependents.slice(dependents.indexOf(plugin)), plugin].map(({ name }) => name)
    throw new FST_TENANT_PLUGIN_FAILED(plugin.name, `these folders depend on each other in a circle: ${circle.join(', ')}`)
  }
  for (const dependency of plugin.dependencies) {
    // Those beside it in its own folder are put in order by autoload.
    const provider = plugin.names.includes(dependency) ? undefined : plugins.find(({ names }) => names.includes(dependency))
    if (provider !== undefined) place(provider, plugins, ordered, [...dependents, plugin])
  }
  ordered.add(plugin)
}
