import type { TenantDefinition, TenantSource } from '../../types/index.ts'

/** Tenants of which all is known beforehand. */
export class KnownTenants implements TenantSource {
  protected readonly tenants = new Map<string, TenantDefinition>()

  get (id: string): TenantDefinition | null {
    return this.tenants.get(id) ?? null
  }

  async * list (): AsyncIterable<string> {
    yield * this.tenants.keys()
  }

  count (): number {
    return this.tenants.size
  }
}
