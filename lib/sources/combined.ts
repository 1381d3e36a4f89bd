import { definitionsOf } from './definitions-of.ts'
import type { LoadedTenant, SourceContext, TenantChange, TenantDefinition, TenantSource } from '../../types/index.ts'

/** Several sources as one: they are asked in turn, and the first that knows a tenant wins. */
export class CombinedSource implements TenantSource {
  /** There when one of the sources knows hosts: the first that knows this one wins. */
  readonly resolveHost?: (host: string) => Promise<string | null>
  /** There when one of the sources can be asked for several. The others are asked for each id alone. */
  readonly getMany?: (ids: readonly string[]) => Promise<ReadonlyMap<string, TenantDefinition>>
  protected readonly sources: readonly TenantSource[]

  constructor (sources: readonly TenantSource[]) {
    this.sources = [...sources]
    if (sources.some(source => source.getMany !== undefined)) this.getMany = ids => this.getEach(ids)
    if (sources.some(source => source.resolveHost !== undefined)) this.resolveHost = host => this.#resolveHost(host)
  }

  /** Throws what the first source that cannot be opened throws. */
  async open (context: SourceContext): Promise<void> {
    for (const source of this.sources) await source.open?.(context)
  }

  /** Throws what a source throws: those after it are not asked, since the tenant may be that source's. */
  async get (id: string): Promise<TenantDefinition | null> {
    for (const [index, source] of this.sources.entries()) {
      // A source in plain JavaScript may answer `undefined` where it knows nothing.
      const definition = await source.get(id) ?? null
      if (definition !== null) return ofSource(index, definition)
    }
    return null
  }

  /** A source is asked only for the ids that those before it do not know. Throws what a source throws. */
  protected async getEach (ids: readonly string[]): Promise<ReadonlyMap<string, TenantDefinition>> {
    const found = new Map<string, TenantDefinition>()
    let left = [...new Set(ids)]
    for (const [index, source] of this.sources.entries()) {
      if (left.length === 0) break
      const definitions = await definitionsOf(source, left)
      left = left.filter(id => {
        const definition = definitions.get(id) ?? null
        if (definition !== null) found.set(id, ofSource(index, definition))
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

  /** Of a source that does not say, it is taken for granted. */
  async hasHosts (): Promise<boolean> {
    for (const source of this.sources) {
      if (source.resolveHost !== undefined && await (source.hasHosts?.() ?? true)) return true
    }
    return false
  }

  /** Each source is told only of the tenants that it has: of another's it would say that they are gone. */
  watch (changed: (change?: TenantChange) => void, loaded: () => LoadedTenant[]): () => void {
    const stops = this.sources.map((source, index) => {
      const prefix = `${index}:`
      const of = ({ id, version }: LoadedTenant): LoadedTenant[] => version?.startsWith(prefix) === true ? [{ id, version: version.slice(prefix.length) }] : []
      return source.watch?.(
        change => changed(change?.version === undefined ? change : { ...change, version: prefix + change.version }),
        () => loaded().flatMap(of))
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

  /** Whether the id is that of another tenant, of an earlier source, whose the host is not. */
  async #isKnownBefore (id: string, end: number): Promise<boolean> {
    for (const source of this.sources.slice(0, end)) {
      if ((await source.get(id) ?? null) !== null) return true
    }
    return false
  }

  /** Closes all sources. Throws an AggregateError of what went wrong, when all are closed. */
  async close (): Promise<void> {
    const results = await Promise.allSettled(this.sources.map(async source => source.close?.()))
    const errors = results.filter(result => result.status === 'rejected').map(result => result.reason)
    if (errors.length > 0) throw new AggregateError(errors, 'Not all tenant sources could be closed')
  }
}

/** Versions of two sources must not be taken for one another. */
function ofSource (index: number, definition: TenantDefinition): TenantDefinition {
  return definition.version === undefined ? definition : { ...definition, version: `${index}:${definition.version}` }
}

/** The source of the tenants of several sources. */
export function combinedSource (sources: readonly TenantSource[]): CombinedSource {
  return new CombinedSource(sources)
}
