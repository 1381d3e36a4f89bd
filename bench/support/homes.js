import { join } from 'node:path'
import Fastify from 'fastify'
import multitenant from 'fastify-multitenant'
import { toPlugin, writeFolders, writeTemplate } from './folders.js'
import { plainApp } from './plain-folder.js'
import { TenantThread } from './tenant-thread.js'

/**
 * Where tenants may live. Each answers with `load(id)`, to be called for every id in turn, `end()`, to be called after them, and
 * the `threads` that hold memory of their own. `folder` is to be removed.
 */
export const homes = {
  /** A plugin with a prefix in one plain app, which cannot load one more later. */
  async plugins (ids, content) {
    const plugin = await toPlugin(content)
    const app = Fastify()
    return { load: async id => { app.register(plugin, { prefix: id }) }, end: () => app.ready() }
  },

  /** A tenant of this package that is given in code. */
  async code (ids, content) {
    const plugin = await toPlugin(content)
    return tenantsOf(Object.fromEntries(ids.map(id => [id, { plugin }])), ids)
  },

  /** A tenant of this package that is a folder. */
  async folders (ids, content) {
    const folder = await writeFolders(ids, content)
    return { ...await tenantsOf(folder, ids), folder }
  },

  /** A tenant of this package that has a config and no code of its own. */
  async config (ids) {
    return tenantsOf(Object.fromEntries(ids.map(id => [id, { config: { plan: 'free' } }])), ids)
  },

  /** The same with a template that all share: a folder that has a service too, which each tenant gets one of. */
  async template (ids, content) {
    const folder = await writeTemplate('standard', content)
    const tenants = Object.fromEntries(ids.map(id => [id, { template: 'standard', config: { plan: 'free' } }]))
    return { ...await tenantsOf(tenants, ids, { templates: folder }), folder }
  },

  /** A Fastify app for each folder. */
  async apps (ids, content) {
    const folder = await writeFolders(ids, content)
    const kept = []
    return { load: async id => { kept.push(await plainApp(join(folder, id))) }, end () {}, kept, folder }
  },

  /** A worker thread with such an app for each folder. */
  async threads (ids, content) {
    const folder = await writeFolders(ids, content)
    const threads = []
    return { load: async id => { threads.push(await new TenantThread(join(folder, id)).ready()) }, end () {}, threads, folder }
  }
}

/** What they are called in the tables. */
export const figures = {
  plugins: 'a plain plugin with a prefix',
  code: 'a tenant given in code',
  folders: 'a tenant from a folder',
  config: 'a tenant with only a config',
  template: 'a tenant of a template',
  apps: 'an app for each tenant',
  threads: 'a worker thread for each tenant'
}

async function tenantsOf (tenants, ids, options = {}) {
  const app = Fastify()
  app.register(multitenant, { tenants, maxActive: ids.length, maxResident: ids.length, ...options })
  await app.ready()
  return { load: id => app.multitenant.init(id), end () {} }
}

export function idsOf (count) {
  return Array.from({ length: count }, (_, index) => `tenant-${index}`)
}
