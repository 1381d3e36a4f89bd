// Starts an S3 server, puts a plugin into a bucket, and starts an app whose tenant Acme loads it from there. Ctrl-C ends all.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { S3Client } from '@aws-sdk/client-s3'
import closeWithGrace from 'close-with-grace'
import Fastify from 'fastify'
import multitenant from 'fastify-multitenant'
import S3rver from 's3rver'
import { publishPlugin } from './publish.js'
import { S3PluginStrategy } from './s3-strategy.js'

const bucket = 'plugins'
const code = `export default async function extra (app, { tenant }) {
  app.get('/extra', async () => ({ from: 'S3', for: tenant.name }))
}
`

const dir = await mkdtemp(join(tmpdir(), 'fastify-multitenant-'))
const s3 = new S3rver({ port: 0, silent: true, directory: join(dir, 'buckets'), configureBuckets: [{ name: bucket }] })
const { address, port } = await s3.run()
const client = new S3Client({
  endpoint: `http://${address}:${port}`,
  region: 'us-east-1',
  forcePathStyle: true,
  credentials: { accessKeyId: 'S3RVER', secretAccessKey: 'S3RVER' }
})

const app = Fastify({ logger: true })
app.register(multitenant, {
  tenants: { acme: { config: { name: 'Acme Inc.', plugins: [await publishPlugin(client, bucket, 'acme/extra.mjs', code)] } } },
  loaders: { s3: new S3PluginStrategy({ client, bucket, cacheDir: join(dir, 'cache') }) }
})

closeWithGrace(async () => {
  await app.close()
  client.destroy()
  await s3.close()
  await rm(dir, { recursive: true })
})

const url = await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT ?? 3000) })
console.log(`\n  curl -i -H 'x-tenant-id: acme' ${url}/extra\n`)
