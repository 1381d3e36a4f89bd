import { FST_TENANT_ID_TAKEN, FST_TENANT_PACKAGE_INVALID } from '../errors.ts'
import { isTenantId } from '../utils/tenant-id.ts'
import { KnownTenants } from './known.ts'
import { matchingPackages } from './packages.ts'
import type { IdCheck } from '../utils/tenant-id.ts'
import type { ProjectPackage } from './packages.ts'

/** The options of `NpmSource`. */
export interface NpmSourceOptions {
  /** The absolute path of the project's folder. */
  root: string
  /** A glob: the project's dependencies that match it are tenants. */
  pattern: string
  /** Reads the id that a package gives itself, if it does. */
  readOwnId: (project: ProjectPackage) => Promise<string | undefined>
  isId?: IdCheck
}

/** Tenants that are npm packages: each has what a tenant's folder may have. Which there are is read once, when the app boots. */
export class NpmSource extends KnownTenants {
  readonly #options: Required<NpmSourceOptions>

  constructor ({ isId = isTenantId, ...options }: NpmSourceOptions) {
    super()
    this.#options = { ...options, isId }
  }

  /** Throws FST_TENANT_PACKAGE_INVALID and FST_TENANT_ID_TAKEN, and FST_TENANT_OPTION_INVALID when `root` has no package.json. */
  async open (): Promise<void> {
    const { root, pattern, isId } = this.#options
    for (const project of await matchingPackages(root, pattern)) {
      const { name, dir } = project
      const id = await this.#idOf(project)
      if (!isId(id)) throw new FST_TENANT_PACKAGE_INVALID(name, `cannot be a tenant: '${id}' is no tenant id. Its main module may export a TENANT_ID`)
      const other = this.get(id)
      if (other !== null) throw new FST_TENANT_ID_TAKEN(id, `${other.dir} and ${dir}`)
      this.tenants.set(id, { id, dir })
    }
  }

  /** What the package says of itself, else what the pattern leaves open in its name. */
  async #idOf (project: ProjectPackage): Promise<string> {
    try {
      return await this.#options.readOwnId(project) ?? project.part
    } catch (cause) {
      throw new FST_TENANT_PACKAGE_INVALID(project.name, 'cannot be a tenant: its main module cannot be read', { cause })
    }
  }
}
