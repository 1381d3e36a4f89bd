import { FST_TENANT_OPTION_INVALID } from '../../errors.ts'
import { toPath } from '../../utils/to-path.ts'
import { Names } from './names.ts'
import type { PostgresPool } from './connections.ts'
import type { TenantFolders } from './folders.ts'

/** The options of `postgresTenants`. */
export interface PostgresTenantsOptions {
  /** The URL of the database. Beside a `pool`: where to listen for changes, when the pool's connections go through a pooler such as PgBouncer. */
  connectionString?: string
  /** A pool of `pg` to ask with, which stays open. Default: one of its own, with 4 connections. */
  pool?: PostgresPool
  /** The database schema of the tables. Default: `'multitenant'`. */
  schema?: string
  /** Begins the names of the tables, and is part of the channel's: for several environments in one schema. Default: none. */
  namespace?: string
  /** The folder below which the folders lie that rows name in `dir`. Default: `'./tenants'`. */
  root?: string | URL
  /** The folder below which the folders lie that rows name in `template`. Default: `'./templates'`. */
  templates?: string | URL
}

/** The options, checked and defaulted. */
export interface ResolvedPostgresOptions {
  connectionString: string | undefined
  pool: PostgresPool | undefined
  names: Names
  folders: TenantFolders
}

const NAMES = new Set(['connectionString', 'pool', 'schema', 'namespace', 'root', 'templates'])
/** PostgreSQL cuts longer names off. In bytes. */
const MAX_NAME = 63
/** Leaves room for what comes after it. In bytes. */
const MAX_NAMESPACE = 40

/** Throws FST_TENANT_OPTION_INVALID which names the option. */
export function resolvePostgresOptions (options: PostgresTenantsOptions): ResolvedPostgresOptions {
  for (const name of Object.keys(options)) check(NAMES.has(name), name, `left out: the options are ${[...NAMES].join(', ')}`)
  const { connectionString, pool, schema = 'multitenant', namespace, root = './tenants', templates = './templates' } = options
  check(connectionString === undefined ? pool !== undefined : isText(connectionString, Infinity), 'connectionString', 'the URL of a PostgreSQL database, where no pool is given')
  check(pool === undefined || typeof pool?.query === 'function', 'pool', 'a pool of pg')
  check(isText(schema, MAX_NAME), 'schema', `a name of 1 to ${MAX_NAME} bytes`)
  check(namespace === undefined || isText(namespace, MAX_NAMESPACE), 'namespace', `a name of 1 to ${MAX_NAMESPACE} bytes`)
  return {
    connectionString,
    pool,
    names: new Names(schema, namespace),
    folders: { root: toPath(root, 'root'), templates: toPath(templates, 'templates') }
  }
}

function isText (value: unknown, longest: number): boolean {
  return typeof value === 'string' && value !== '' && !value.includes('\0') && Buffer.byteLength(value) <= longest
}

function check (right: boolean, name: string, expected: string): void {
  if (!right) throw new FST_TENANT_OPTION_INVALID(name, expected)
}
