import { FST_TENANT_OPTION_INVALID } from '../../errors.ts'
import { check, checkKeys, isText } from '../../utils/check.ts'
import { toPath } from '../../utils/to-path.ts'
import { Names } from './names.ts'
import type { PostgresPool } from './connections.ts'

/** The options of `postgresTenants`. */
export interface PostgresTenantsOptions {
  /** The URL of the database. Required without a `pool`. With a `pool`, it is used only to listen for changes, which does not work through a pooler such as PgBouncer. */
  connectionString?: string
  /** A `pg` pool for look-ups. The source does not close it. Default: a new pool of 4 connections. */
  pool?: PostgresPool
  /** The database schema of the tables. Default: `'multitenant'`. */
  schema?: string
  /** A prefix for the names of the tables, at most 40 bytes. Environments with different namespaces can share a schema. Default: none. */
  namespace?: string
  /** The allowed folder for the column `dir`: rows may name only folders below it. Default: `'./tenants'`. */
  root?: string | URL
}

/** The validated options with defaults. */
export interface ResolvedPostgresOptions {
  connectionString: string | undefined
  pool: PostgresPool | undefined
  names: Names
  /** The absolute path of the allowed folder for the column `dir`. */
  root: string
}

const OPTION_NAMES = ['connectionString', 'pool', 'schema', 'namespace', 'root']
/** The longest name in bytes. PostgreSQL truncates longer ones. */
const MAX_NAME = 63
/** The longest namespace in bytes. The rest of a name follows it. */
const MAX_NAMESPACE = 40

/**
 * Validates the options and adds defaults.
 * @throws {FST_TENANT_OPTION_INVALID} when an option is invalid; the message names it
 */
export function resolvePostgresOptions (options: PostgresTenantsOptions): ResolvedPostgresOptions {
  checkKeys(options, OPTION_NAMES)
  const { connectionString, pool, schema = 'multitenant', namespace, root = './tenants' } = options
  // The error message must not show the value, which may hold a password.
  if (connectionString === undefined ? pool === undefined : !isName(connectionString, Infinity)) {
    throw new FST_TENANT_OPTION_INVALID('connectionString', 'the URL of a PostgreSQL database if no pool is given')
  }
  check(pool === undefined || typeof pool?.query === 'function', 'pool', 'a pool of pg', pool)
  check(isName(schema, MAX_NAME), 'schema', `a name of 1 to ${MAX_NAME} bytes`, schema)
  check(namespace === undefined || isName(namespace, MAX_NAMESPACE), 'namespace', `a name of 1 to ${MAX_NAMESPACE} bytes`, namespace)
  return { connectionString, pool, names: new Names(schema, namespace), root: toPath(root, 'root') }
}

/** Returns whether a value is text of at most `longest` bytes. PostgreSQL takes no text with NUL. */
function isName (value: unknown, longest: number): boolean {
  return isText(value) && !value.includes('\0') && Buffer.byteLength(value) <= longest
}
