import type { FastifyBaseLogger } from 'fastify'
import { FST_TENANT_CONFIG_INVALID } from '../errors.ts'
import { openConfig, readEnvFile } from '../loading/config.ts'
import { TenantFolder } from '../loading/folder.ts'
import { readIndex } from '../loading/index-module.ts'
import { loadCode } from '../loading/load-code.ts'
import { LoadProgress } from '../loading/load-progress.ts'
import { loadTimeoutError } from '../loading/file-error.ts'
import { warnOfMisnamedEntries } from '../loading/misnamed-entries.ts'
import { importServices } from '../loading/services.ts'
import { requirePlugins, withoutTemplateKeys } from '../loading/standard-config.ts'
import { withDeadline } from '../utils/deadline.ts'
import type { OpenConfig } from '../loading/config.ts'
import type { Code } from '../loading/load-code.ts'
import type { ServiceModule } from '../loading/services.ts'
import type { ResolvedOptions } from '../options.ts'
import type { Scope } from '../scope/scope.ts'
import type { TemplateDefinition } from '../sources/templates.ts'
import type { Template } from '../../types/index.ts'
import type { TemplateContents } from './template-generation.ts'

/**
 * Fills a template's scope from its definition, and reads all that its tenants need: its config and its services.
 * @throws {FST_TENANT_CONFIG_INVALID}
 * @throws {Error} naming the file, relative to the template's folder
 */
export async function loadTemplate (scope: Scope, definition: TemplateDefinition, template: Template, options: ResolvedOptions, log: FastifyBaseLogger): Promise<TemplateContents> {
  const progress = new LoadProgress()
  try {
    const read = readParts(definition, progress, log.child({ template: template.name }))
    const { code, contents } = await withDeadline(read, options.loadTimeout, loadTimeoutError)
    const services: ServiceModule[] = []
    await scope.boot(`template ${template.name}`, instance => loadCode(instance, code, { template }, options, async () => {
      if (code.folder !== null) services.push(...await importServices(instance.log, code.folder))
    }))
    return { ...contents, services }
  } catch (error) {
    throw progress.explain(error)
  }
}

interface Parts { code: Code, contents: Omit<TemplateContents, 'services'> }

async function readParts (definition: TemplateDefinition, progress: LoadProgress, log: FastifyBaseLogger): Promise<Parts> {
  const { dir, plugin } = definition
  const folder = dir === undefined ? null : await TenantFolder.open(dir, progress)
  const config = await openConfig(folder, definition.config)
  const { plugins = [] } = config.fixed as { plugins?: unknown }
  requirePlugins(plugins)
  withoutTemplateKeys(config.fixed)
  const index = folder === null ? null : await readIndex(folder)
  if (folder !== null) warnOfMisnamedEntries(log, folder, index !== null)
  const contents = { env: await readEnvFile(folder), readConfig: defaultsFrom(config) }
  return { code: { folder, index, plugin, plugins, progress }, contents }
}

/** The keys of a template's config that are defaults of its tenants' configs. */
function defaultsFrom ({ fixed, read }: OpenConfig): TemplateContents['readConfig'] {
  return async context => {
    const config = await read(context)
    if (Object.hasOwn(config, 'plugins') && !Object.hasOwn(fixed, 'plugins')) {
      throw new FST_TENANT_CONFIG_INVALID('plugins: a template is loaded once for all its tenants, so it names its plugins in an object, not in a function')
    }
    return withoutTemplateKeys(config)
  }
}
