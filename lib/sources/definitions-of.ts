import pLimit from 'p-limit'
import type { TenantDefinition, TenantSource } from '../../types/index.ts'

/** For how many ids a source without `getMany` is asked at a time. */
const MAX_ASKING = 10

/** The definitions that a source has of these ids. Throws what the source throws. */
export async function definitionsOf (source: TenantSource, ids: readonly string[]): Promise<ReadonlyMap<string, TenantDefinition>> {
  if (source.getMany !== undefined) return source.getMany(ids)
  const found = new Map<string, TenantDefinition>()
  await pLimit(MAX_ASKING).map(ids, async id => {
    const definition = await source.get(id) ?? null
    if (definition !== null) found.set(id, definition)
  })
  return found
}
