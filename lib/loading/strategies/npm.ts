import { FST_TENANT_PACKAGE_INVALID } from '../../errors.ts'
import { importModule } from '../modules/modules.ts'
import { findPackage, packageNameOf, resolveModule } from '../../sources/packages.ts'
import { registerDefault } from './register.ts'
import { PluginLoadingStrategy } from './strategy.ts'
import type { FastifyInstance } from 'fastify'
import type { PluginContext } from '../../../types/index.ts'
import type { PluginFunction } from '../plugin-function.ts'

/** The options of `NpmStrategy`. */
export interface NpmStrategyOptions {
  /** Where packages are looked for when a tenant has no folder. Default: the process's working directory. */
  root?: string
}

/** `npm:@acme/audit` is an installed package, found from the tenant's folder upwards as Node finds it. Nothing is ever installed. */
export class NpmStrategy extends PluginLoadingStrategy {
  readonly #root: string

  constructor ({ root = process.cwd() }: NpmStrategyOptions = {}) {
    super()
    this.#root = root
  }

  override async loadPlugin (app: FastifyInstance, reference: string, options: object, { dir = this.#root }: PluginContext): Promise<PluginFunction> {
    const name = packageNameOf(reference)
    if (name === null) throw new Error('It is not the name of a package')
    if (await findPackage(name, dir) === null) throw new FST_TENANT_PACKAGE_INVALID(name, 'is not installed')
    return registerDefault(app, await importModule(resolveModule(reference, dir)), options)
  }
}
