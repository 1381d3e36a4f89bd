import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

/**
 * A PostgreSQL server that keeps its data in `dir`. It has its own process group, so that Ctrl-C does not reach it while
 * the app still answers. It ends with this process, even if this process is killed.
 */
export async function startPostgres (dir) {
  const server = fork(join(import.meta.dirname, 'postgres-server.js'), [dir], { detached: true })
  const exited = once(server, 'exit')
  const failed = exited.then(() => { throw Object.assign(new Error('PostgreSQL did not start'), { code: 'POSTGRES_NOT_STARTED' }) })
  const [connectionString] = await Promise.race([once(server, 'message'), failed])

  return {
    connectionString,
    async close () {
      if (server.connected) server.disconnect()
      await exited
    }
  }
}
