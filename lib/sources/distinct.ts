import { FST_TENANT_ID_TAKEN } from '../errors.ts'
import { CombinedSource } from './combined.ts'
import { definitionsOf } from './definitions-of.ts'
import type { SourceContext, TenantDefinition } from '../../types/index.ts'

/** Combines several sources that must not share a tenant id. */
export class DistinctSource extends CombinedSource {
  /**
   * Opens the sources and compares their ids. Rejects when a source fails.
   * @throws {FST_TENANT_ID_TAKEN} when two sources have the same id
   */
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

  /** @throws {FST_TENANT_ID_TAKEN} when two sources have the id, which may have happened after boot */
  override async get (id: string): Promise<TenantDefinition | null> {
    return only(id, await Promise.all(this.sources.map(async source => source.get(id))))
  }

  /** @throws {FST_TENANT_ID_TAKEN} when two sources have one of the ids */
  protected override async getEach (ids: readonly string[]): Promise<ReadonlyMap<string, TenantDefinition>> {
    const answers = await Promise.all(this.sources.map(source => definitionsOf(source, ids)))
    const found = ids.map(id => only(id, answers.map(answer => answer.get(id))))
    return new Map(found.filter(definition => definition !== null).map(definition => [definition.id, definition]))
  }
}

/**
 * Returns the only definition among the sources' answers, `null` if there is none.
 * @throws {FST_TENANT_ID_TAKEN} when there are several
 */
function only (id: string, answers: ReadonlyArray<TenantDefinition | null | undefined>): TenantDefinition | null {
  const [definition = null, ...others] = answers.filter(answer => answer !== null && answer !== undefined)
  if (definition === null || others.length === 0) return definition
  throw new FST_TENANT_ID_TAKEN(id, [definition, ...others].map(({ dir }) => dir).join(' and '))
}
