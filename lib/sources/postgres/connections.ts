import pg from 'pg'

/** A query with a time limit of its own. */
interface TimedQuery {
  text: string
  values?: unknown[]
  query_timeout: number
}

/** Asks PostgreSQL, and answers with the rows. */
export type Query = <Row>(text: string, values?: readonly unknown[], timeout?: number) => Promise<Row[]>

/** What the source needs of a pool of `pg`. */
export interface PostgresPool {
  /** What its connections are made with. */
  readonly options: object
  query (query: TimedQuery): Promise<{ rows: unknown[] }>
  on (event: 'error', listener: (error: Error) => void): unknown
  off (event: 'error', listener: (error: Error) => void): unknown
  end (): Promise<void>
}

/** A look-up by index takes a ms. One that takes as long as this, in ms, has no answer to wait for. */
const TIMEOUT = 5_000
/** How these connections are called in `pg_stat_activity`. */
const APPLICATION = 'fastify-multitenant'

export function createPool (connectionString: string): PostgresPool {
  return new pg.Pool({
    connectionString,
    max: 4,
    connectionTimeoutMillis: TIMEOUT,
    keepAlive: true,
    allowExitOnIdle: true,
    application_name: APPLICATION
  })
}

/** A connection for itself, to the database of the pool where nothing else is said. */
export function createClient (connectionString: string | undefined, pool: PostgresPool | undefined): pg.Client {
  // The pool hides its password from those who print or copy its options.
  const { options = {} } = connectionString === undefined ? pool as { options: pg.ClientConfig } : { options: { connectionString } }
  return new pg.Client({ ...options, password: options.password, connectionTimeoutMillis: TIMEOUT, keepAlive: true, application_name: APPLICATION })
}

export function queryOf (connection: Pick<PostgresPool, 'query'>): Query {
  return async <Row>(text: string, values: readonly unknown[] = [], timeout = TIMEOUT) => {
    const { rows } = await connection.query({ text, ...(values.length > 0 && { values: [...values] }), query_timeout: timeout })
    return rows as Row[]
  }
}
