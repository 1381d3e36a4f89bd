import { realpath } from 'node:fs/promises'
import { isAbsolute, relative, resolve, sep } from 'node:path'
import { TenantFolder } from '../folder.ts'
import { importModule } from '../modules/modules.ts'
import { registerDefault } from './register.ts'
import { PluginLoadingStrategy } from './strategy.ts'
import type { FastifyInstance } from 'fastify'
import type { PluginContext } from '../../../types/index.ts'
import type { PluginFunction } from '../plugin-function.ts'

/**
 * Loads a plugin from a file: `file:extra/audit.mjs` is a module in the tenant's folder, or in the folder of the server's project.
 * A file outside that folder is refused, symbolic links included, because the config may come from an untrusted author.
 */
export class FileStrategy extends PluginLoadingStrategy {
  override async loadPlugin (app: FastifyInstance, reference: string, options: object, { dir }: PluginContext): Promise<PluginFunction> {
    if (dir === undefined) throw new Error('A file plugin needs a folder to resolve its path from')
    const file = resolve(dir, reference)
    await refuseOutside(dir, file)
    const module = await importModule(file).catch(async (cause: unknown) => { throw await errorIn(dir, file, cause) })
    return registerDefault(app, module, options)
  }
}

async function errorIn (dir: string, file: string, cause: unknown): Promise<Error> {
  const folder = await TenantFolder.open(dir)
  return folder.fileError(file, cause)
}

async function refuseOutside (dir: string, file: string): Promise<void> {
  const path = relative(await realpath(dir), await realpath(file))
  if (path === '..' || path.startsWith(`..${sep}`) || isAbsolute(path)) throw new Error('The file must be below the folder')
}
