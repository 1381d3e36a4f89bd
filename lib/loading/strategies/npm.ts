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
  /** The folder to search for packages from when a tenant has no folder. Default: the process's working directory. */
  root?: string
}

/** Loads a plugin from an installed package: `npm:@acme/audit`. The package is resolved from the tenant's folder. It is never installed. */
export class NpmStrategy extends PluginLoadingStrategy {
  readonly #root: string

  constructor ({ root = process.cwd() }: NpmStrategyOptions = {}) {
    super()
    this.#root = root
  }

  override async loadPlugin (app: FastifyInstance, reference: string, options: object, { dir = this.#root }: PluginContext): Promise<PluginFunction> {
    const name = packageNameOf(reference)
    if (name === null) throw new Error('It is not a package name')
    if (await findPackage(name, dir) === null) throw new FST_TENANT_PACKAGE_INVALID(name, 'is not installed')
    return registerDefault(app, await importModule(resolveModule(reference, dir)), options)
  }
}
