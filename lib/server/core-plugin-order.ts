import { FST_TENANT_PLUGIN_FAILED } from '../errors.ts'

/** A folder of core plugins. `names` and `dependencies` come from `fastify-plugin`. */
export interface CorePlugin {
  /** The name of the folder. */
  name: string
  names: readonly string[]
  dependencies: readonly string[]
}

/**
 * Keeps the given order, but puts each folder after the folders that it depends on. Fastify checks the dependencies that no folder
 * provides.
 * @throws {FST_TENANT_PLUGIN_FAILED} when folders depend on each other in a circle
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
    // autoload orders the plugins within one folder.
    const provider = plugin.names.includes(dependency) ? undefined : plugins.find(({ names }) => names.includes(dependency))
    if (provider !== undefined) place(provider, plugins, ordered, [...dependents, plugin])
  }
  ordered.add(plugin)
}
