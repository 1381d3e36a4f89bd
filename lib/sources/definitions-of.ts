import pLimit from 'p-limit'
import type { TenantDefinition, TenantSource } from '../../types/index.ts'

/** How many ids a source without `getMany` is asked for at a time. */
const MAX_PARALLEL = 10

/** Returns the definitions of several ids from one source, by id. Rejects when the source fails. */
export async function definitionsOf (source: TenantSource, ids: readonly string[]): Promise<ReadonlyMap<string, TenantDefinition>> {
  if (source.getMany !== undefined) return source.getMany(ids)
  const found = new Map<string, TenantDefinition>()
  await pLimit(MAX_PARALLEL).map(ids, async id => {
    const definition = await source.get(id) ?? null
    if (definition !== null) found.set(id, definition)
  })
  return found
}
