import { createHash } from 'node:crypto'
import { PutObjectCommand } from '@aws-sdk/client-s3'

/** Puts a plugin into a bucket. Returns the reference for a tenant's config. */
export async function publishPlugin (client, bucket, key, code) {
  await client.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: code, ContentType: 'text/javascript' }))
  return `s3:${key}#sha256-${createHash('sha256').update(code).digest('hex')}`
}
