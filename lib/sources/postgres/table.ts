import { folderOf } from './folders.ts'
import type { Query } from './connections.ts'
import type { Names } from './names.ts'
import type { TenantChange, TenantDefinition } from '../../../types/index.ts'

/** A row of the table. */
interface TenantRow {
  id: string
  name: string | null
  hosts: string[]
  active: boolean
  config: object
  dir: string | null
  template: string | null
  version: string
}

/** How many ids one query reads. */
const PAGE = 1_000
/** The longest id in UTF-16 code units. A character of PostgreSQL may take two. */
const LONGEST_ID = 2 * 255
/** Tenants are counted exactly up to this number. Above it, PostgreSQL estimates the number. */
const COUNTED = 10_000

/** Reads the table of tenants. All methods reject when PostgreSQL or the connection fails. */
export class TenantTable {
  readonly #names: Names
  readonly #query: Query
  readonly #root: string

  /** @param root the absolute path of the allowed folder for the column `dir` */
  constructor (names: Names, query: Query, root: string) {
    this.#names = names
    this.#query = query
    this.#root = root
  }

  async exists (): Promise<boolean> {
    const [row] = await this.#query<{ found: boolean }>('select to_regclass($1) is not null as found', [this.#names.tenants])
    return row?.found === true
  }

  /** @throws {FST_TENANT_ROW_INVALID} when the row names a folder outside the allowed folder */
  async get (id: string): Promise<TenantDefinition | null> {
    return (await this.getMany([id])).get(id) ?? null
  }

  /** @throws {FST_TENANT_ROW_INVALID} when a row names a folder outside the allowed folder */
  async getMany (ids: readonly string[]): Promise<ReadonlyMap<string, TenantDefinition>> {
    const found = new Map<string, TenantDefinition>()
    const possible = [...new Set(ids)].filter(mayBeId)
    while (possible.length > 0) {
      const rows = await this.#query<TenantRow>(
        `select id, name, hosts, active, config, dir, template, version::text from ${this.#names.tenants} where id = any ($1)`, [possible.splice(0, PAGE)])
      for (const row of rows) found.set(row.id, this.#definitionOf(row))
    }
    return found
  }

  #definitionOf ({ id, name, hosts, active, config, dir, template, version }: TenantRow): TenantDefinition {
    if (!active) return { id, version, suspended: true }
    return {
      id,
      version,
      config,
      hosts,
      ...(name !== null && { name }),
      ...(template !== null && { template }),
      ...(dir !== null && { dir: folderOf(id, dir, this.#root) })
    }
  }

  async * list (): AsyncIterable<string> {
    for (let last: string | undefined = ''; last !== undefined;) {
      const page: Array<{ id: string }> = await this.#query(`select id from ${this.#names.tenants} where id > $1 order by id limit ${PAGE}`, [last])
      for (const { id } of page) yield id
      last = page.length < PAGE ? undefined : page.at(-1)?.id
    }
  }

  async count (): Promise<number> {
    const [row] = await this.#query<{ counted: number, estimated: number }>(
      `select (select count(*)::int from (select from ${this.#names.tenants} limit ${COUNTED + 1}) as capped) as counted,
        reltuples::float8 as estimated from pg_class where oid = to_regclass($1)`, [this.#names.tenants])
    const { counted, estimated } = row as { counted: number, estimated: number }
    return counted > COUNTED ? Math.max(counted, estimated) : counted
  }

  /** Returns a sum of the versions in the table for each of the groups `version % groups`. Two different sets of versions have different sums. */
  async versionSums (query: Query, groups: number): Promise<Map<number, string>> {
    const rows = await query<{ group: number, sum: string }>(
      `select (version % ${groups})::int as group, sum(hashint8extended(version, 0))::text as sum from ${this.#names.tenants} group by 1`)
    return new Map(rows.map(({ group, sum }) => [group, sum]))
  }

  /** Returns the current state of these tenants, in the same order. */
  async changes (query: Query, ids: readonly string[]): Promise<TenantChange[]> {
    const rows = await query<Required<TenantChange>>(`select id, version::text, active from ${this.#names.tenants} where id = any ($1)`, [ids])
    const found = new Map(rows.map(row => [row.id, row]))
    return ids.map(id => found.get(id) ?? { id, active: false })
  }

  /** Returns the owners of hosts and wildcards, by pattern. Those without an owner are missing. */
  async owners (patterns: readonly string[]): Promise<Map<string, string>> {
    const rows = await this.#query<{ host: string, tenant_id: string }>(`select host, tenant_id from ${this.#names.hosts} where host = any ($1)`, [patterns])
    return new Map(rows.map(row => [row.host, row.tenant_id]))
  }
}

/** Returns whether the table can hold such an id. PostgreSQL takes no text with NUL, and the table no id of more than 255 characters. */
export function mayBeId (id: string): boolean {
  return id.length <= LONGEST_ID && !id.includes('\0')
}
