// Runs PostgreSQL until the parent process ends. postgres.js starts this file.
import { existsSync } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { once } from 'node:events'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort, newServer } from './embedded-postgres.js'

const dir = resolve(process.argv[2])
const databaseDir = join(dir, 'postgres')
const password = 'example'
const disconnected = once(process, 'disconnect')

try {
  if (!existsSync(databaseDir)) await createDatabase()
  const port = await freePort()
  const server = await start(port)
  if (process.connected) process.send(`postgres://postgres:${password}@127.0.0.1:${port}/postgres`)
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
  await newServer({ databaseDir: draft, password }).initialise()
  await rename(draft, databaseDir)
}

/** Tries for a while: a server whose process was killed may still be on its way out. */
async function start (port, triesLeft = 20) {
  let log = ''
  const server = newServer({ databaseDir, port, password, onLog: (text) => { log = (log + text).slice(-2000) } })
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
