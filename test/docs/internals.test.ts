import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { openMarkdown, ROOT } from '../fixtures/readme/markdown.ts'

const PAGE = 'docs/internals.md'
const SYMBOL = /'(fastify\.\w+|registered-plugin)'/g

/** Ways to reach Fastify's internals that only lib/fastify/ may use. */
const KNOWLEDGE = [/Symbol(?:\.for)?\(['"`]fastify\b(?!-)/, /['"`]fastify\.\w/, /['"`]registered-plugin['"`]/, /['"`]fastify\/lib\b/, /['"`](?:avvio|find-my-way)['"`/]/, /\bgetOwnPropertySymbols\b/]

const { sections } = openMarkdown(PAGE)

function read (file: string): Promise<string> {
  return readFile(join(ROOT, file), 'utf8')
}

function reveals (text: string): boolean {
  return KNOWLEDGE.some(pattern => pattern.test(text))
}

/** Returns the pieces of code in a cell, without their backticks. */
function codeIn (cell = ''): string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map(([, code]) => code as string)
}

t.test('the page lists the symbols that lib/fastify/internals.ts finds, and no others', async t => {
  const found = [...(await read('lib/fastify/internals.ts')).matchAll(SYMBOL)].map(([, name]) => name as string)
  const listed = sections.filter(({ heading }) => heading === 'Symbols').flatMap(({ tables }) => tables).flat().flatMap(([cell]) => codeIn(cell))
  t.ok(found.length > 10)
  t.strictSame(listed.sort(), found.sort())
})

t.test('the page names only files that exist', async t => {
  const files = [...(await read(PAGE)).matchAll(/`((?:lib|test)\/[^`]+\.ts)`/g)].map(([, file]) => file as string)
  t.ok(files.length > 50)
  for (const file of new Set(files)) t.ok(existsSync(join(ROOT, file)), file)
})

t.test('the page names each file that reads or writes one of the symbols', async t => {
  const page = await read(PAGE)
  for (const file of await sources()) {
    if (/internals?\.(?:get|set|contextOf)\(/.test(await read(file))) t.ok(page.includes(`\`${file}\``), file)
  }
})

t.test("only lib/fastify/ reaches Fastify's internals", async t => {
  for (const file of await sources()) {
    if (!file.startsWith('lib/fastify/')) t.notOk(reveals(await read(file)), file)
  }
  for (const line of ["Symbol('fastify.hooks')", "Symbol.for('fastify.display-name')", "import symbols from 'fastify/lib/symbols.js'", "description === 'fastify.404'"]) {
    t.ok(reveals(line), `${line} would be found`)
  }
  t.notOk(reveals("Symbol('fastify-multitenant.tenant')"), 'symbols of this package are allowed')
})

async function sources (): Promise<string[]> {
  const entries = await readdir(join(ROOT, 'lib'), { recursive: true })
  return entries.filter(entry => entry.endsWith('.ts')).map(entry => join('lib', entry))
}
