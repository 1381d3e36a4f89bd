import { definitionsOf } from './definitions-of.ts'
import type { LoadedTenant, SourceContext, TenantChange, TenantDefinition, TenantSource } from '../../types/index.ts'

/** Combines several sources. They are asked in turn, and the first that knows a tenant wins. */
export class CombinedSource implements TenantSource {
  /** Exists if any source has `resolveHost`. The first source that knows the host wins. */
  readonly resolveHost?: (host: string) => Promise<string | null>
  /** Exists if any source has `getMany`. The other sources are asked for each id separately. */
  readonly getMany?: (ids: readonly string[]) => Promise<ReadonlyMap<string, TenantDefinition>>
  protected readonly sources: readonly TenantSource[]

  constructor (sources: readonly TenantSource[]) {
    this.sources = [...sources]
    if (sources.some(source => source.getMany !== undefined)) this.getMany = ids => this.getEach(ids)
    if (sources.some(source => source.resolveHost !== undefined)) this.resolveHost = host => this.#resolveHost(host)
  }

  /** Opens the sources in turn. Rejects with the error of the first source that cannot be opened. */
  async open (context: SourceContext): Promise<void> {
    for (const source of this.sources) await source.open?.(context)
  }

  /** Rejects when a source fails. Later sources are not asked, because the tenant may belong to the source that failed. */
  async get (id: string): Promise<TenantDefinition | null> {
    for (const [index, source] of this.sources.entries()) {
      // A source in plain JavaScript may return `undefined` for an unknown id.
      const definition = await source.get(id) ?? null
      if (definition !== null) return withSourceVersion(index, definition)
    }
    return null
  }

  /** Asks each source only for the ids that earlier sources do not know. Rejects when a source fails. */
  protected async getEach (ids: readonly string[]): Promise<ReadonlyMap<string, TenantDefinition>> {
    const found = new Map<string, TenantDefinition>()
    let left = [...new Set(ids)]
    for (const [index, source] of this.sources.entries()) {
      if (left.length === 0) break
      const definitions = await definitionsOf(source, left)
      left = left.filter(id => {
        const definition = definitions.get(id) ?? null
        if (definition !== null) found.set(id, withSourceVersion(index, definition))
        return definition === null
      })
    }
    return found
  }

  async * list (): AsyncIterable<string> {
    const listed = new Set<string>()
    for (const source of this.sources) {
      for await (const id of source.list()) {
        if (!listed.has(id)) yield id
        listed.add(id)
      }
    }
  }

  /** A source with `resolveHost` but without `hasHosts` counts as having hosts. */
  async hasHosts (): Promise<boolean> {
    for (const source of this.sources) {
      if (source.resolveHost !== undefined && await (source.hasHosts?.() ?? true)) return true
    }
    return false
  }

  /** Each source gets only its own loaded tenants, because it would report those of other sources as deleted. */
  watch (changed: (change?: TenantChange) => void, loaded: () => LoadedTenant[]): () => void {
    const stops = this.sources.map((source, index) => {
      const prefix = `${index}:`
      return source.watch?.(
        change => changed(change?.version === undefined ? change : { ...change, version: prefix + change.version }),
        () => ownOf(prefix, loaded()))
    })
    return () => stops.forEach(stop => stop?.())
  }

  async #resolveHost (host: string): Promise<string | null> {
    for (const [at, source] of this.sources.entries()) {
      const id = await source.resolveHost?.(host) ?? null
      if (id !== null && !await this.#isKnownBefore(id, at)) return id
    }
    return null
  }

  /** Returns whether an earlier source has this id. Then the host belongs to a different tenant of the same id, which is hidden. */
  async #isKnownBefore (id: string, end: number): Promise<boolean> {
    for (const source of this.sources.slice(0, end)) {
      if ((await source.get(id) ?? null) !== null) return true
    }
    return false
  }

  /** Closes all sources. Then rejects with an AggregateError if any of them failed. */
  async close (): Promise<void> {
    const results = await Promise.allSettled(this.sources.map(async source => source.close?.()))
    const errors = results.filter(result => result.status === 'rejected').map(result => result.reason)
    if (errors.length > 0) throw new AggregateError(errors, 'Not all tenant sources could be closed')
  }
}

/** Prefixes the version with the index of its source, so that the versions of two sources differ. */
function withSourceVersion (index: number, definition: TenantDefinition): TenantDefinition {
  return definition.version === undefined ? definition : { ...definition, version: `${index}:${definition.version}` }
}

/** Returns the tenants whose version has the prefix, without it. A loop, because there may be 100,000. */
function ownOf (prefix: string, loaded: readonly LoadedTenant[]): LoadedTenant[] {
  const own: LoadedTenant[] = []
  for (const { id, version } of loaded) {
    if (version?.startsWith(prefix) === true) own.push({ id, version: version.slice(prefix.length) })
  }
  return own
}

/** Creates a source that combines several sources. */
export function combinedSource (sources: readonly TenantSource[]): CombinedSource {
  return new CombinedSource(sources)
}
