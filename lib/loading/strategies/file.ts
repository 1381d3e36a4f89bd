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
 * `file:extra/audit.mjs` is a module in the tenant's folder, or in that of the server's project. A file outside of it is refused,
 * also when it is reached by a symbolic link: a config may be data that somebody else has written.
 */
export class FileStrategy extends PluginLoadingStrategy {
  override async loadPlugin (app: FastifyInstance, reference: string, options: object, { dir }: PluginContext): Promise<PluginFunction> {
    if (dir === undefined) throw new Error('There is no folder that the path could start at')
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
