// Runs the tests on the oldest Fastify that is supported and on the newest, each on every Node that is: npm run test:matrix
//   --short           the oldest Fastify on this Node, and of the tests those of what is built on Fastify's internals
//   --fastify, --node one version in place of all
//   files             these tests only
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, delimiter, dirname, join } from 'node:path'
import { parseArgs } from 'node:util'

const project = dirname(import.meta.dirname)
const { peerDependencies } = JSON.parse(await readFile(join(project, 'package.json'), 'utf8'))
const oldest = peerDependencies.fastify.replace('^', '')
const NODES = ['20', '22', '24']
const SHORT = ['contract', 'app/who-answers.test.ts', 'app/hand-over.test.ts', 'app/bodies-and-replies.test.ts', 'app/order.test.ts', 'app/prefix.test.ts', 'scope/scope.test.ts']
const NOT_COPIED = new Set(['.git', '.tap', 'dist'])

const { values: { short, ...only }, positionals } = parseArgs({ allowPositionals: true, options: { short: { type: 'boolean' }, fastify: { type: 'string' }, node: { type: 'string' } } })
const fastifys = only.fastify ? [only.fastify] : short ? [oldest] : [oldest, peerDependencies.fastify]
const nodes = only.node ? [only.node] : short ? [] : NODES

const temp = await mkdtemp(join(tmpdir(), 'fastify-multitenant-'))
// As root, the tests start PostgreSQL as another user, who has to reach it here.
await chmod(temp, 0o755)
try {
  process.exitCode = await runAll() ? 0 : 1
} finally {
  await rm(temp, { recursive: true, force: true })
}

async function runAll () {
  const bins = nodes.length === 0 ? [dirname(process.execPath)] : await installNodes()
  const results = []
  for (const fastify of fastifys) {
    const dir = await copyWith(fastify)
    for (const bin of bins) results.push(await test(dir, bin))
  }
  for (const { what, passed } of results) console.log(`${passed ? 'ok    ' : 'not ok'} ${what}`)
  return results.every(({ passed }) => passed)
}

/** The packages that npm's `node` would install for this machine. Answers with the folders that hold their binaries. */
async function installNodes () {
  const dir = join(temp, 'nodes')
  await mkdir(dir)
  await writeFile(join(dir, 'package.json'), '{}')
  const packages = nodes.map(node => `node-${node}@npm:node-${process.platform}-${process.arch}@${node}`)
  await run('npm', ['install', '--no-audit', '--no-fund', ...packages], dir)
  return nodes.map(node => join(dir, 'node_modules', `node-${node}`, 'bin'))
}

/** A copy of the project, as it is installed, with another Fastify. */
async function copyWith (fastify) {
  const dir = join(temp, `with-fastify-${fastify.replace('^', 'newest-')}`)
  await cp(project, dir, { recursive: true, verbatimSymlinks: true, filter: source => dirname(source) !== project || !NOT_COPIED.has(basename(source)) })
  await run('npm', ['install', '--no-save', '--legacy-peer-deps', '--no-audit', '--no-fund', `fastify@${fastify}`], dir)
  return dir
}

async function test (dir, bin) {
  const { version } = JSON.parse(await readFile(join(dir, 'node_modules/fastify/package.json'), 'utf8'))
  const env = { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH}` }
  const files = short && positionals.length === 0 ? SHORT.map(file => join('test', file)) : positionals
  const node = nodes.length === 0 ? process.versions.node : basename(dirname(bin)).replace('node-', '')
  console.log(`# Fastify ${version}, Node ${node}`)
  const passed = await succeeds('npm', ['run', 'build'], dir, env) &&
    await succeeds(join(dir, 'node_modules/.bin/tap'), ['--disable-coverage', '--reporter=tap', ...files], dir, env)
  return { what: `Fastify ${version}, Node ${node}`, passed }
}

async function run (command, args, cwd) {
  if (!await succeeds(command, args, cwd, process.env)) throw new Error(`${command} ${args.join(' ')} failed`)
}

async function succeeds (command, args, cwd, env) {
  const [code] = await once(spawn(command, args, { cwd, env, stdio: ['ignore', 'inherit', 'inherit'] }), 'exit')
  return code === 0
}
