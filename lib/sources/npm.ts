import { FST_TENANT_ID_TAKEN, FST_TENANT_PACKAGE_INVALID } from '../errors.ts'
import { isTenantId } from '../identification/tenant-id.ts'
import { TenantFolder } from '../loading/folder.ts'
import { readIndex } from '../loading/index-module.ts'
import { mainModule, matchingPackages } from '../loading/packages.ts'
import type { IdCheck } from '../identification/tenant-id.ts'
import type { ProjectPackage } from '../loading/packages.ts'
import type { TenantDefinition, TenantSource } from '../../types/index.ts'

/** The options of `NpmSource`. */
export interface NpmSourceOptions {
  /** The absolute path of the project's folder. */
  root: string
  /** A glob: the project's dependencies that match it are tenants. */
  pattern: string
  isId?: IdCheck
}

/** Tenants that are npm packages: each has what a tenant's folder may have. Which there are is read once, when the app boots. */
export class NpmSource implements TenantSource {
  readonly #options: Required<NpmSourceOptions>
  readonly #tenants = new Map<string, TenantDefinition & { dir: string }>()

  constructor ({ root, pattern, isId = isTenantId }: NpmSourceOptions) {
    this.#options = { root, pattern, isId }
  }

  /** Throws FST_TENANT_PACKAGE_INVALID and FST_TENANT_ID_TAKEN, and FST_TENANT_OPTION_INVALID when `root` has no package.json. */
  async open (): Promise<void> {
    const { root, pattern, isId } = this.#options
    for (const project of await matchingPackages(root, pattern)) {
      const { name, dir } = project
      const id = await readId(project, root)
      if (!isId(id)) throw new FST_TENANT_PACKAGE_INVALID(name, `cannot be a tenant: '${id}' is no tenant id. Its main module may export a TENANT_ID`)
      const other = this.#tenants.get(id)
      if (other !== undefined) throw new FST_TENANT_ID_TAKEN(id, `${other.dir} and ${dir}`)
      this.#tenants.set(id, { id, dir })
    }
  }

  get (id: string): TenantDefinition | null {
    return this.#tenants.get(id) ?? null
  }

  async * list (): AsyncIterable<string> {
    yield * this.#tenants.keys()
  }

  count (): number {
    return this.#tenants.size
  }
}

/** What the package's main module says, else what the pattern leaves open in its name. */
async function readId (project: ProjectPackage, root: string): Promise<string> {
  try {
    const folder = await TenantFolder.open(project.dir)
    const main = await readIndex(folder, mainModule(project, root) ?? undefined)
    return main?.TENANT_ID ?? main?.NAME ?? project.part
  } catch (cause) {
    throw new FST_TENANT_PACKAGE_INVALID(project.name, 'cannot be a tenant: its main module cannot be read', { cause })
  }
}
