import { FST_TENANT_ID_TAKEN } from '../errors.ts'
import { CombinedSource } from './combined.ts'
import type { SourceContext, TenantDefinition } from '../../types/index.ts'

/** Several sources as one, none of which may have a tenant of another. */
export class DistinctSource extends CombinedSource {
  /** Throws FST_TENANT_ID_TAKEN for an id that is there more than once, and what a source throws. */
  override async open (context: SourceContext): Promise<void> {
    await super.open(context)
    const seen = new Set<string>()
    for (const source of this.sources) {
      for await (const id of source.list()) {
        if (seen.has(id)) await this.get(id)
        seen.add(id)
      }
    }
  }

  /** Throws FST_TENANT_ID_TAKEN for an id that is there more than once, since boot perhaps. */
  override async get (id: string): Promise<TenantDefinition | null> {
    const answers = await Promise.all(this.sources.map(async source => source.get(id)))
    const [definition = null, ...others] = answers.filter(answer => answer !== null)
    if (definition === null || others.length === 0) return definition
    throw new FST_TENANT_ID_TAKEN(id, [definition, ...others].map(({ dir }) => dir).join(' and '))
  }
}
