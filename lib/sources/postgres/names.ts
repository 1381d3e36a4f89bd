import { createHash } from 'node:crypto'
import pg from 'pg'

/** What the things in the database are called. All but the channel are quoted, and as full as SQL takes them. */
export class Names {
  readonly schema: string
  readonly tenants: string
  readonly hosts: string
  /** Without its schema, which is that of its table. */
  readonly hostsIndex: string
  readonly versions: string
  readonly setVersion: string
  readonly announce: string
  /** Of one length whatever it is made of, since PostgreSQL takes 63 bytes at most. */
  readonly channel: string

  constructor (schema: string, namespace: string | undefined) {
    const bare = (base: string): string => pg.escapeIdentifier(namespace === undefined ? base : `${namespace}_${base}`)
    const name = (base: string): string => `${this.schema}.${bare(base)}`
    this.schema = pg.escapeIdentifier(schema)
    this.tenants = name('tenants')
    this.hosts = name('tenant_hosts')
    this.hostsIndex = bare('tenant_hosts_of')
    this.versions = name('tenant_versions')
    this.setVersion = name('set_tenant_version')
    this.announce = name('announce_tenant')
    this.channel = `multitenant:${createHash('sha256').update(this.tenants).digest('hex').slice(0, 32)}`
  }
}
