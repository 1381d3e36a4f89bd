import { createHash } from 'node:crypto'
import pg from 'pg'

/** The names of the objects in the database, quoted and with their schema. The channel is neither. */
export class Names {
  readonly schema: string
  readonly tenants: string
  readonly hosts: string
  /** Without a schema: an index is always in the schema of its table. */
  readonly hostsIndex: string
  /** Without a schema. */
  readonly versionsIndex: string
  readonly versions: string
  readonly setVersion: string
  readonly announce: string
  /** A hash, since PostgreSQL limits a channel name to 63 bytes. */
  readonly channel: string

  constructor (schema: string, namespace: string | undefined) {
    const bare = (base: string): string => pg.escapeIdentifier(namespace === undefined ? base : `${namespace}_${base}`)
    const name = (base: string): string => `${this.schema}.${bare(base)}`
    this.schema = pg.escapeIdentifier(schema)
    this.tenants = name('tenants')
    this.hosts = name('tenant_hosts')
    this.hostsIndex = bare('tenant_hosts_of')
    this.versionsIndex = bare('tenants_by_version')
    this.versions = name('tenant_versions')
    this.setVersion = name('set_tenant_version')
    this.announce = name('announce_tenant')
    this.channel = `multitenant:${createHash('sha256').update(this.tenants).digest('hex').slice(0, 32)}`
  }
}
