import { createHash, randomUUID } from 'node:crypto'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { GetObjectCommand } from '@aws-sdk/client-s3'
import { PluginLoadingStrategy } from 'fastify-multitenant'

const REFERENCE = /^(?<key>.+)#sha256-(?<hash>[0-9a-f]{64})$/
const MEGABYTE = 2 ** 20

/**
 * Loads plugins from a bucket: `s3:acme/extra.mjs#sha256-<64 hex digits>`. The hash decides which code may
 * run, so write access to the bucket is not enough to change it. A plugin is one file, an ES module. Node resolves its imports from
 * `cacheDir` upwards, so keep that folder below the project's.
 */
export class S3PluginStrategy extends PluginLoadingStrategy {
  constructor ({ client, bucket, cacheDir, maxBytes = MEGABYTE, timeout = 10_000 }) {
    super()
    Object.assign(this, { client, bucket, cacheDir, maxBytes, timeout })
  }

  async loadPlugin (app, reference, options = {}) {
    const { key, hash } = REFERENCE.exec(reference)?.groups ?? {}
    if (key === undefined) throw new Error('It must end in #sha256- and the hash of the content')

    const file = await this.fetch(key, hash)
    const { default: plugin } = await import(pathToFileURL(file).href)
    await app.register(plugin, options)
    return plugin
  }

  /** The path of the cached file. Its name is the hash, so no key can lead outside of the folder. */
  async fetch (key, hash) {
    const file = join(this.cacheDir, `${hash}.mjs`)
    if (await isCached(file, hash)) return file

    const content = await this.download(key)
    if (hashOf(content) !== hash) throw new Error(`The content of ${key} is not what the hash says`)
    await writeWhole(file, content)
    return file
  }

  /** Downloads the whole object; the client throws if it arrives incomplete. */
  async download (Key) {
    const abortSignal = AbortSignal.timeout(this.timeout)
    const { Body, ContentLength } = await this.client.send(new GetObjectCommand({ Bucket: this.bucket, Key }), { abortSignal })
    if (ContentLength === undefined || ContentLength > this.maxBytes) {
      Body.destroy()
      throw new Error(`${Key} is larger than ${this.maxBytes} bytes`)
    }
    return Body.transformToByteArray()
  }
}

/** Whether the cache has the file. Its content is checked, because it may be incomplete or changed. */
async function isCached (file, hash) {
  try {
    return hashOf(await readFile(file)) === hash
  } catch (error) {
    if (error.code === 'ENOENT') return false
    throw error
  }
}

/** Writes under another name first, so that no import finds half a file. */
async function writeWhole (file, content) {
  const draft = `${file}.${randomUUID()}`
  await mkdir(join(file, '..'), { recursive: true, mode: 0o700 })
  try {
    await writeFile(draft, content, { mode: 0o600, flush: true })
    await rename(draft, file)
  } finally {
    await rm(draft, { force: true })
  }
}

function hashOf (content) {
  return createHash('sha256').update(content).digest('hex')
}
