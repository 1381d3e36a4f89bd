import pg from 'pg'

/** A query with its own time limit, in ms. */
interface TimedQuery {
  text: string
  values?: unknown[]
  query_timeout: number
}

/** Runs a query and returns its rows. `timeout`: in ms. Default: 5,000. */
export type Query = <Row>(text: string, values?: readonly unknown[], timeout?: number) => Promise<Row[]>

/** The parts of a `pg` pool that the source needs. */
export interface PostgresPool {
  /** The options of its connections. */
  readonly options: object
  /** Runs a query. */
  query (query: TimedQuery): Promise<{ rows: unknown[] }>
  /** Adds a listener for errors of idle connections. */
  on (event: 'error', listener: (error: Error) => void): unknown
  /** Removes a listener. */
  off (event: 'error', listener: (error: Error) => void): unknown
  /** Closes all connections. */
  end (): Promise<void>
}

/** The time limit of a query and of a connection attempt, in ms. A look-up by index normally takes about 1 ms. */
const TIMEOUT = 5_000
/** The name of these connections in `pg_stat_activity`. */
const APPLICATION = 'fastify-multitenant'

/** Creates a pool for look-ups. */
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

/** Creates a connection outside the pool, to `connectionString` or else to the database of the pool. */
export function createClient (connectionString: string | undefined, pool: PostgresPool | undefined): pg.Client {
  // `pg` makes `password` non-enumerable in the options of a pool, so the spread does not copy it.
  const { options = {} } = connectionString === undefined ? pool as { options: pg.ClientConfig } : { options: { connectionString } }
  return new pg.Client({ ...options, password: options.password, connectionTimeoutMillis: TIMEOUT, keepAlive: true, application_name: APPLICATION })
}

/** Returns a function that runs queries on a connection or a pool. */
export function queryOf (connection: Pick<PostgresPool, 'query'>): Query {
  return async <Row>(text: string, values: readonly unknown[] = [], timeout = TIMEOUT) => {
    const { rows } = await connection.query({ text, ...(values.length > 0 && { values: [...values] }), query_timeout: timeout })
    return rows as Row[]
  }
}
