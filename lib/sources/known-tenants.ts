import type { TenantDefinition, TenantSource } from '../../types/index.ts'

/** A source whose tenants are all in memory. Subclasses fill the map. */
export class KnownTenants implements TenantSource {
  protected readonly tenants = new Map<string, TenantDefinition>()

  get (id: string): TenantDefinition | null {
    return this.tenants.get(id) ?? null
  }

  getMany (ids: readonly string[]): Map<string, TenantDefinition> {
    const found = new Map<string, TenantDefinition>()
    for (const id of ids) {
      const definition = this.get(id)
      if (definition !== null) found.set(id, definition)
    }
    return found
  }

  async * list (): AsyncIterable<string> {
    yield * this.tenants.keys()
  }

  count (): number {
    return this.tenants.size
  }
}
