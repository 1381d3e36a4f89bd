import assert from 'node:assert/strict'
import { isAbsolute } from 'node:path'
import { AnnouncedChanges } from './announced-changes.ts'
import type { TenantChange, TenantDefinition, TenantSource } from '../../../types/index.ts'

/** A tenant that the source must have during a test. */
export interface WantedTenant {
  /** The id of the tenant. */
  id: string
  /** For a source that has configs. */
  config?: Record<string, unknown>
  /** For a source with `resolveHost`. */
  hosts?: readonly string[]
  /** For a source that can suspend tenants. Default: `false`. */
  suspended?: boolean
}

/** A source without tenants that has not been opened, and the functions by which the tests change its tenants. */
export interface TestedSource {
  /** The source under test. */
  source: TenantSource
  /** Adds the tenant, or replaces the tenant of the same id. */
  put (tenant: WantedTenant): unknown
  /** Deletes the tenant. */
  remove? (id: string): unknown
  /** Whether the source can suspend tenants. Default: `false`. */
  suspends?: boolean
  /** Makes the source fail, for example by closing its connection. */
  breakDown? (): unknown
  /** Ends the failure. */
  repair? (): unknown
  /** Called after each test, when the source is closed. */
  clean? (): unknown
}

/** One of the tests. `patience`: how long the source may take to announce a change, in ms. */
export type Check = (tested: TestedSource, patience: number) => Promise<void>

/** Ids that no tenant has. */
const UNKNOWN_IDS = ['nobody', 'ACME', 'acme ', 'acme/', './acme', '../acme', '..', '.', '', 'acme\0', 'constructor', '__proto__', 'a'.repeat(300), 'a'.repeat(8_192)]

/** The tests by name. */
export const checks: Record<string, Check> = {
  'get() finds every tenant, and nothing else': async ({ source, put }) => {
    await put({ id: 'acme', config: { plan: 'pro' } })
    await put({ id: 'globex', config: { plan: 'free' } })
    for (const [id, plan] of [['acme', 'pro'], ['globex', 'free']] as const) {
      const { dir = '/', config, ...definition } = await definitionOf(source, id)
      assert.equal(definition.id, id)
      assert.ok(isAbsolute(dir), 'dir is an absolute path')
      if (typeof config === 'object') assert.deepEqual(config, { plan })
    }
    for (const id of UNKNOWN_IDS) assert.equal(await source.get(id), null, `get(${JSON.stringify(id)})`)
  },

  'getMany() agrees with get()': async ({ source, put }) => {
    if (source.getMany === undefined) return
    assert.equal((await source.getMany([])).size, 0)
    const ids = ['acme', 'globex']
    for (const id of ids) await put({ id, config: { plan: id } })
    const made = Array.from({ length: 2_500 }, (_, index) => `made-up-${index}`)
    const asked = ['acme', ...UNKNOWN_IDS, 'acme', ...made, 'globex']
    const found = await source.getMany(asked)
    assert.deepEqual([...found.keys()].sort(), ids)
    for (const id of [...ids, ...UNKNOWN_IDS]) assert.deepEqual(found.get(id) ?? null, await source.get(id), `getMany() of ${JSON.stringify(id)}`)
  },

  'list() and count() include each tenant once': async ({ source, put }) => {
    assert.deepEqual(await idsOf(source), [])
    const ids = ['acme', 'globex', 'initech']
    for (const id of ids) await put({ id })
    assert.deepEqual((await idsOf(source)).sort(), ids)
    // A caller may stop early.
    for await (const id of source.list()) if (ids.includes(id)) break
    assert.equal(await source.count?.() ?? ids.length, ids.length)
  },

  'resolveHost() prefers the host itself, then the longest wildcard': async ({ source, put }) => {
    if (source.resolveHost === undefined) return
    await put({ id: 'acme', hosts: ['acme.example', '*.example'] })
    await put({ id: 'globex', hosts: ['*.shop.example', 'www.acme.example'] })
    const owners = { 'acme.example': 'acme', 'www.acme.example': 'globex', 'a.shop.example': 'globex', 'a.b.shop.example': 'globex', 'shop.example': 'acme' }
    for (const [host, id] of Object.entries(owners)) assert.equal(await source.resolveHost(host), id, host)
    for (const host of ['example', 'acme.example.org', '*.example.org', 'localhost', '[::1]']) assert.equal(await source.resolveHost(host), null, host)
  },

  'watch() announces tenants that are added, changed and removed': async ({ source, put, remove }, patience) => {
    const changes = new AnnouncedChanges(source, patience)
    if (changes.stop === undefined) return
    await changes.after(() => put({ id: 'acme', config: { plan: 'free' } }), 'acme', true)
    const { version } = await definitionOf(source, 'acme')
    if (version === undefined) return changes.stop()
    await changes.after(() => put({ id: 'acme', config: { plan: 'pro' } }), 'acme', true)
    assert.notEqual((await definitionOf(source, 'acme')).version, version, 'every change has a new version')
    if (remove !== undefined) {
      await changes.after(() => remove('acme'), 'acme', false)
      assert.equal(await source.get('acme'), null)
      await changes.after(() => put({ id: 'acme', config: { plan: 'free' } }), 'acme', true)
      assert.notEqual((await definitionOf(source, 'acme')).version, version, 'a version is never used again')
    }
    changes.stop()
  },

  'a change that names hosts names all hosts that change hands': async ({ source, put, remove }, patience) => {
    const changes = new AnnouncedChanges(source, patience)
    if (source.resolveHost === undefined || changes.stop === undefined) return
    const named = (change: TenantChange | undefined, ...hosts: string[]): boolean => {
      const announced = change?.hosts ?? hosts
      for (const host of hosts) assert.ok(announced.includes(host), `${host} has changed hands`)
      return change?.hosts !== undefined
    }
    named(await changes.after(() => put({ id: 'acme', hosts: ['acme.example', '*.acme.example'] }), 'acme', true), 'acme.example', '*.acme.example')
    const namesHosts = named(await changes.after(() => put({ id: 'acme', hosts: ['acme.example'] }), 'acme', true), '*.acme.example')
    if (namesHosts && remove !== undefined) named(await changes.after(() => remove('acme'), 'acme', false), 'acme.example')
    changes.stop()
  },

  'a suspended tenant is announced, and get() returns it as suspended': async ({ source, put, suspends = false }, patience) => {
    if (!suspends) return
    const changes = new AnnouncedChanges(source, patience)
    await changes.after(() => put({ id: 'acme' }), 'acme', true)
    await changes.after(() => put({ id: 'acme', suspended: true }), 'acme', false)
    assert.equal((await definitionOf(source, 'acme')).suspended, true)
    await changes.after(() => put({ id: 'acme', suspended: false }), 'acme', true)
    assert.equal((await definitionOf(source, 'acme')).suspended ?? false, false)
    changes.stop?.()
  },

  'a failure is an error, never "not found"': async ({ source, put, breakDown, repair }) => {
    if (breakDown === undefined) return
    await put({ id: 'acme' })
    await breakDown()
    await assert.rejects(async () => source.get('acme'), 'get() rejects')
    await assert.rejects(async () => source.get('nobody'), 'get() of an unknown id rejects')
    if (source.getMany !== undefined) await assert.rejects(async () => (await source.getMany?.(['acme', 'nobody']))?.get('nobody'), 'getMany() rejects')
    await assert.rejects(async () => idsOf(source), 'list() rejects')
    if (source.resolveHost !== undefined) await assert.rejects(async () => source.resolveHost?.('acme.example'), 'resolveHost() rejects')
    await repair?.()
    assert.notEqual(await source.get('acme'), null)
    assert.equal(await source.get('nobody'), null)
  }
}

async function definitionOf (source: TenantSource, id: string): Promise<TenantDefinition> {
  const definition = await source.get(id)
  assert.notEqual(definition, null, `get('${id}')`)
  return definition as TenantDefinition
}

async function idsOf (source: TenantSource): Promise<string[]> {
  const ids: string[] = []
  for await (const id of source.list()) ids.push(id)
  return ids
}
