import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import * as main from '../../index.ts'
import * as errors from '../../lib/errors.ts'
import { readMarkdown, ROOT } from '../fixtures/readme/markdown.ts'

interface CodedError extends Error { code: string, statusCode: number }

const constructors = Object.entries(errors) as unknown as Array<[string, new (...parameters: string[]) => CodedError]>
const names = constructors.map(([name]) => name).sort()

t.test('each error is exported under the name of its code', async t => {
  for (const [name, Coded] of constructors) {
    const error = new Coded('one', 'two')
    t.match(name, /^FST_TENANT_[A-Z_]+$/)
    t.equal(error.code, name)
    t.ok(error instanceof Error)
    t.equal(error instanceof TypeError, name === 'FST_TENANT_OPTION_INVALID', `${name} is a TypeError only where an argument is wrong`)
    t.equal(Reflect.get(main, name), Coded)
  }
  t.strictSame(Object.keys(main).filter(name => name.startsWith('FST_')).sort(), names)
})

t.test('the TSDoc of each error begins with its status', async t => {
  const source = await readFile(join(ROOT, 'lib/errors.ts'), 'utf8')
  const documented = [...source.matchAll(/^\/\*\* (\d{3})(?: \(TypeError\))?: .+\n?.*\*\/\nexport const (\w+) = /gm)].map(([, status, name]) => `${name} ${status}`)
  t.strictSame(documented.sort(), constructors.map(([name, Coded]) => `${name} ${new Coded('one', 'two').statusCode}`).sort())
})

t.test('each error is thrown somewhere', async t => {
  const files = (await readdir(join(ROOT, 'lib'), { recursive: true })).filter(file => file.endsWith('.ts') && file !== 'errors.ts')
  const sources = await Promise.all(files.map(file => readFile(join(ROOT, 'lib', file), 'utf8')))
  const thrown = new Set(sources.flatMap(source => [...source.matchAll(/new (FST_TENANT_\w+)\(/g)].map(([, name]) => name)))
  t.strictSame([...thrown].sort(), names)
})

t.test('docs/errors.md lists each error with its status', async t => {
  const { tables: [rows = []] = [] } = readMarkdown('docs/errors.md').find(({ heading }) => heading === 'Errors') ?? {}
  const listed = rows.map(([name, status]) => `${name} ${status}`)
  t.strictSame(listed.sort(), constructors.map(([name, Coded]) => `\`${name}\` ${new Coded('one', 'two').statusCode}`).sort())
  for (const [name, , meaning = ''] of rows) t.equal(meaning.includes('TypeError'), name === '`FST_TENANT_OPTION_INVALID`')
})

t.test('errors about a tenant have its id, and copies of them do not', async t => {
  const about = constructors.filter(([, Coded]) => 'tenantId' in new Coded('acme')).map(([name]) => name)
  const names = ['BUSY', 'CLOSED', 'LOAD_FAILED', 'LOAD_TIMEOUT', 'NOT_FOUND', 'OVERLOADED', 'SUSPENDED'].map(name => `FST_TENANT_${name}`)
  t.strictSame(about.sort(), names)
  for (const name of names) {
    const error = new (Reflect.get(errors, name) as new (id: string) => CodedError)('acme')
    t.equal(Reflect.get(error, 'tenantId'), 'acme')
    t.notOk(Object.keys(error).includes('tenantId'))
    t.ok(error instanceof Reflect.get(errors, name))
  }
  t.equal(new errors.FST_TENANT_OVERLOADED('acme').message, 'Too many tenants are busy')
})

t.test('errors about a template have its name, and copies of them do not', async t => {
  const about = constructors.filter(([, Coded]) => 'template' in new Coded('standard', 'pro')).map(([name]) => name)
  const names = ['FAILED', 'NOT_FOUND', 'SHARED'].map(name => `FST_TENANT_TEMPLATE_${name}`)
  t.strictSame(about.sort(), names)
  for (const name of names) {
    const error = new (Reflect.get(errors, name) as new (name: string, rest: string) => CodedError)('standard', 'pro')
    t.equal(Reflect.get(error, 'template'), 'standard')
    t.notOk(Object.keys(error).includes('template'))
  }
})

t.test('a message contains its arguments, and not its cause', async t => {
  const cause = new Error('the database at /srv/secret is down')
  const error = new errors.FST_TENANT_LOAD_FAILED('acme', { cause })
  t.equal(error.message, "Tenant 'acme' could not be loaded")
  t.equal(error.cause, cause)
  t.equal(new errors.FST_TENANT_SERVICE_NOT_FOUND('Mail', 'Notes, Users').message, "No service 'Mail'. The tenant's services are: Notes, Users")
})
