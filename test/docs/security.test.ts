import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { maxHeaderSize } from 'node:http'
import { join } from 'node:path'
import Fastify from 'fastify'
import t from 'tap'
import { resolveOptions } from '../../lib/options.ts'
import { appOf, as } from '../fixtures/http/app.ts'

const ROOT = join(import.meta.dirname, '../..')
const text = await readFile(join(ROOT, 'SECURITY.md'), 'utf8')

t.test('SECURITY.md', async t => {
  t.test('links to files and headings that exist', async t => {
    for (const [, path = '', heading] of text.matchAll(/\]\(([\w/.]+)(?:#([\w-]+))?\)/g)) {
      t.ok(existsSync(join(ROOT, path)), path)
      if (heading === undefined) continue
      const headings = [...(await readFile(join(ROOT, path), 'utf8')).matchAll(/^#+ (.+)$/gm)].map(([, title = '']) => title.toLowerCase().replaceAll(' ', '-').replace(/[^\w-]/g, ''))
      t.ok(headings.includes(heading), heading)
    }
  })

  t.test('names limits that are options of the plugin, of Fastify or of Node', async t => {
    const table = text.slice(text.indexOf('## What a client can cost'), text.indexOf('## What is in replies'))
    const known = new Set([...Object.keys(resolveOptions({ tenants: {} }, '')), ...Object.keys(Fastify().initialConfig), 'maxHeaderSize'])
    const named = [...table.matchAll(/`(?:routerOptions\.)?(\w+)`/g)].map(([, name = '']) => name)
    t.ok(named.length > 10)
    for (const name of named) t.ok(known.has(name), name)
  })

  t.test('is right about the answer to a client that exceeds a limit', async t => {
    const app = appOf(t, { acme: async scope => { scope.get('/of/:name', async () => 'there'); scope.post('/', async () => 'taken') } })
    await app.ready()
    const { initialConfig } = app
    t.match(initialConfig, { requestTimeout: 0, connectionTimeout: 0, bodyLimit: 2 ** 20 })
    t.equal(maxHeaderSize, 16 * 1024)
    const long = { url: `/of/${'a'.repeat(101)}`, headers: as('acme') }
    t.equal((await app.inject(long)).statusCode, 414)
    t.equal((await app.inject({ method: 'POST', url: '/', headers: { ...as('acme'), 'content-type': 'text/plain' }, payload: 'x'.repeat(2 ** 20 + 1) })).statusCode, 413)
    t.equal((await app.inject({ url: '/', headers: as('a'.repeat(64)) })).statusCode, 400)
  })

  t.test('is right about the content of a refusal', async t => {
    const app = appOf(t, { acme: async () => { throw new Error(`cannot read ${import.meta.filename}`) } })
    const { body } = await app.inject({ url: '/', headers: as('acme') })
    t.notMatch(body, /cannot read|security\.test|stack/)
    t.match(JSON.parse(body), { code: 'FST_TENANT_LOAD_FAILED' })
  })
})
