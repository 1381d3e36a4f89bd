import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { ROOT, readMarkdown } from './fixtures/readme/markdown.ts'
import { run } from './fixtures/readme/run.ts'

// The test packs what `npm run build` made: a build while other tests run would disturb them.
const PACK = ['pack', '--json', '--ignore-scripts']

interface Packed { filename: string, files: Array<{ path: string }> }

async function npmPack (...options: string[]): Promise<Packed> {
  const [packed] = JSON.parse(await run(ROOT, 'npm', ...PACK, ...options)) as Packed[]
  return packed as Packed
}

/** Runs a tool of this repository; rejects if the tool finds a fault. */
function tool (name: string, ...options: string[]): Promise<string> {
  return run(ROOT, join(ROOT, 'node_modules/.bin', name), ...options)
}

const manifest: Record<string, Record<string, string> & string & string[]> = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8'))

t.test('the package contains only useful files', async t => {
  const { files } = await npmPack('--dry-run')
  const paths = files.map(({ path }) => path)
  const code = paths.filter(path => path.startsWith('dist/'))
  const others = paths.filter(path => !path.startsWith('dist/') && !path.startsWith('docs/'))
  t.strictSame(others.sort(), ['CHANGELOG.md', 'CONTRIBUTING.md', 'LICENSE', 'README.md', 'SECURITY.md', 'package.json'])
  t.ok(code.includes('dist/index.js'))
  t.ok(code.includes('dist/index.d.ts'))
  t.strictSame(code.filter(path => !/\.(?:js|d\.ts)$/.test(path) || /test/.test(path)), [])
  for (const path of code) {
    t.ok(existsSync(join(ROOT, path.replace(/^dist\//, '').replace(/(?:\.d\.ts|\.js)$/, '.ts'))), `${path} has a source`)
  }
})

t.test('documents that the README links to are packed', async t => {
  const { files } = await npmPack('--dry-run')
  const paths = files.map(({ path }) => path)
  const links = [...(await readFile(join(ROOT, 'README.md'), 'utf8')).matchAll(/\]\(([\w/.-]+\.md)/g)].map(([, path = '']) => path)
  t.ok(links.length > 10)
  for (const link of links) t.ok(paths.includes(link), link)
})

t.test('publint and attw find no fault', async t => {
  const dir = t.testdir()
  const { filename } = await npmPack('--pack-destination', dir)
  const tarball = join(dir, filename)
  await t.resolves(tool('publint', 'run', tarball, '--strict'))
  await t.resolves(tool('attw', tarball, '--profile', 'esm-only'))
})

t.test('package.json has what npm and users need', async t => {
  t.match(manifest, {
    name: 'fastify-multitenant',
    version: /^\d+\.\d+\.\d+$/,
    type: 'module',
    license: 'MIT',
    description: /\w/,
    engines: { node: '>=20.19' },
    peerDependencies: { fastify: /^\^5\./, pg: /^\^8\./ },
    peerDependenciesMeta: { pg: { optional: true } }
  })
  for (const keyword of ['fastify', 'fastify-plugin', 'multitenant']) t.ok(manifest['keywords']?.includes(keyword), keyword)
  t.match(await readFile(join(ROOT, 'LICENSE'), 'utf8'), /^MIT License/)
})

t.test('npx finds the command', async t => {
  const { files } = await npmPack('--dry-run')
  const commands = manifest['bin'] as Record<string, string> | undefined
  t.strictSame(Object.keys(commands ?? {}), [manifest['name']])
  for (const path of Object.values(commands ?? {})) {
    t.ok(files.some(file => file.path === path.replace(/^\.\//, '')), path)
    t.match(await readFile(join(ROOT, path), 'utf8'), /^#!\/usr\/bin\/env node\n/)
    t.equal(await run(t.testdir(), process.execPath, join(ROOT, path), '--version'), `${manifest['version']}\n`)
  }
})

t.test('the dependencies are exactly the packages that the code imports', async t => {
  const { files } = await npmPack('--dry-run')
  const imported = new Set<string>()
  for (const { path } of files.filter(({ path }) => /^dist\/.*\.(?:js|d\.ts)$/.test(path))) {
    const source = await readFile(join(ROOT, path), 'utf8')
    for (const [, name] of source.matchAll(/\bfrom '((?:@[\w-]+\/)?[a-z][\w-]*)/g)) imported.add(name as string)
  }
  imported.delete('node')
  t.strictSame([...imported].sort(), [...Object.keys(manifest['peerDependencies'] ?? {}), ...Object.keys(manifest['dependencies'] ?? {})].sort())
})

t.test('optional peers are imported only by the exports that need them', async t => {
  const { files } = await npmPack('--dry-run')
  for (const { path } of files.filter(({ path }) => path.endsWith('.js'))) {
    const asked = /from 'pg'/.test(await readFile(join(ROOT, path), 'utf8'))
    if (asked) t.match(path, /^dist\/lib\/sources\/postgres\//)
  }
})

t.test('the changelog has a heading for the minor of this version', async t => {
  const [major, minor] = String(manifest['version']).split('.')
  const [, ...versions] = readMarkdown('CHANGELOG.md')
  t.equal(versions[0]?.heading, `${major}.${minor}`)
  for (const { heading, text } of versions) {
    t.match(heading, /^\d+\.\d+$/)
    for (const line of text.trim().split(/\n+/).filter(line => !/^[A-Z][\w ]+$/.test(line))) t.match(line, /^- [A-Z`].*\.$/, 'a sentence for each feature')
  }
})
