import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort, newServer } from '../../example/embedded-postgres.js'

/** A PostgreSQL server of its own, which can be stopped and started again: not the one that DATABASE_URL names, which others use. */
export async function startPostgres () {
  const databaseDir = await mkdtemp(join(tmpdir(), 'multitenant-bench-'))
  const port = await freePort()
  const server = newServer({ databaseDir, port, password: 'bench' })
  await server.initialise()
  await server.start()
  return {
    connectionString: `postgres://postgres:bench@127.0.0.1:${port}/postgres`,
    start: () => server.start(),
    stop: () => server.stop(),
    async remove () {
      await server.stop()
      await rm(databaseDir, { recursive: true, force: true })
    }
  }
}
