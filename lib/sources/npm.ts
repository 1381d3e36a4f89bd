import { FST_TENANT_ID_TAKEN, FST_TENANT_PACKAGE_INVALID } from '../errors.ts'
import { isTenantId } from '../utils/tenant-id.ts'
import { KnownTenants } from './known-tenants.ts'
import { matchingPackages } from './packages.ts'
import type { IdCheck } from '../utils/tenant-id.ts'
import type { ProjectPackage } from './packages.ts'

/** The options of `NpmSource`. */
export interface NpmSourceOptions {
  /** The absolute path of the project's folder. */
  root: string
  /** A glob. The project's dependencies whose names match it are tenants. */
  pattern: string
  /** Reads the id that a package exports. Resolves with `undefined` if it exports none. */
  readOwnId: (project: ProjectPackage) => Promise<string | undefined>
  /** Returns whether a value may be a tenant id. Default: 1 to 63 letters, digits, `_` and `-`. */
  isId?: IdCheck
}

/** Tenants that are npm packages. A package is laid out like a tenant's folder. The packages are found once, when the app boots. */
export class NpmSource extends KnownTenants {
  readonly #options: Required<NpmSourceOptions>

  constructor ({ isId = isTenantId, ...options }: NpmSourceOptions) {
    super()
    this.#options = { ...options, isId }
  }

  /**
   * Finds the packages.
   * @throws {FST_TENANT_OPTION_INVALID} when `root` has no package.json
   * @throws {FST_TENANT_PACKAGE_INVALID} when a package is not installed, or cannot be a tenant
   * @throws {FST_TENANT_ID_TAKEN} when two packages have the same id
   */
  async open (): Promise<void> {
    const { root, pattern, isId } = this.#options
    for (const project of await matchingPackages(root, pattern)) {
      const { name, dir } = project
      const id = await this.#idOf(project)
      if (!isId(id)) throw new FST_TENANT_PACKAGE_INVALID(name, `cannot be a tenant: '${id}' is not a tenant id. Its main module may export a TENANT_ID`)
      const other = this.get(id)
      if (other !== null) throw new FST_TENANT_ID_TAKEN(id, `${other.dir} and ${dir}`)
      this.tenants.set(id, { id, dir })
    }
  }

  /** Returns the id that the package exports, else the part of its name that the pattern leaves open. */
  async #idOf (project: ProjectPackage): Promise<string> {
    try {
      return await this.#options.readOwnId(project) ?? project.part
    } catch (cause) {
      throw new FST_TENANT_PACKAGE_INVALID(project.name, 'cannot be a tenant: its main module cannot be read', { cause })
    }
  }
}
