import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { on, once } from 'node:events'
import { existsSync } from 'node:fs'
import { request } from 'node:http'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { createInterface, type Interface } from 'node:readline'
import { json } from 'node:stream/consumers'
import { isDeepStrictEqual, promisify } from 'node:util'
import pg from 'pg'
import t, { type Test } from 'tap'
import { until } from '../fixtures/lifecycle/app.ts'

const start = join(import.meta.dirname, '../../example/start.js')
const run = promisify(execFile)

interface Example {
  process: ChildProcess
  output: Interface
  /** The printed lines, in order. */
  curl: string[]
  /** The printed lines about the table of customers. */
  connectionString: string
  sql: string[]
}

// tap measures the coverage of every process by NODE_OPTIONS. The example runs the built package, so it must not count.
const command: [string, string[]] = ['env', ['-u', 'NODE_OPTIONS', process.execPath, start]]

function environment (dataDir: string, port: number): NodeJS.ProcessEnv {
  const { DATABASE_URL, ...env } = process.env
  return { ...env, EXAMPLE_DATA: dataDir, PORT: String(port) }
}

async function startExample (t: Test, dataDir: string): Promise<Example> {
  const example = spawn(...command, { env: environment(dataDir, 0), stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => example.kill('SIGKILL'))
  const output = createInterface({ input: example.stdout })
  const lines = await linesUntil(output, line => line.includes('update') && line.includes('active'))
  const [connectionString = ''] = lines.flatMap(line => /^The customers are rows in (\S+)\. /.exec(line)?.[1] ?? [])
  const sql = lines.filter(line => line.startsWith('  update '))
  return { process: example, output, connectionString, sql, curl: lines.filter(line => line.startsWith('  curl ')) }
}

/** Reads up to the first line that matches; fails if the output ends before. */
async function linesUntil (output: Interface, fits: (line: string) => boolean): Promise<string[]> {
  const lines: string[] = []
  for await (const [line] of on(output, 'line', { close: ['close'] })) {
    lines.push(line)
    if (fits(line)) return lines
  }
  throw new Error(`The example ended early:\n${lines.join('\n')}`)
}

/** Runs a printed line as it was printed, in a shell. */
async function curl (line: string): Promise<{ status: number, body: unknown }> {
  const { stdout } = await run('sh', ['-c', line])
  const [head, body] = stdout.split('\r\n\r\n') as [string, string]
  return { status: Number(head.split(' ')[1]), body: JSON.parse(body) }
}

async function stopExample (t: Test, { process: example }: Example): Promise<void> {
  const exited = once(example, 'exit')
  example.kill('SIGINT')
  t.strictSame(await exited, [0, null], 'ends in good order')
}

t.test('the example', async t => {
  const dataDir = t.testdir()

  await t.test('prints commands that get the printed answers', async t => {
    const example = await startExample(t, dataDir)

    t.match(await Promise.all(example.curl.slice(0, 6).map(curl)), [
      { status: 200, body: { tenant: 'hooli', name: 'Hooli', plan: 'trial', template: null } },
      { status: 200, body: { greeting: 'Welcome to Hooli!' } },
      { status: 200, body: { tenant: 'initech', name: 'Initech', plan: 'standard', template: 'standard' } },
      { status: 200, body: { tenant: 'acme', name: 'Acme Inc.', plan: 'pro', template: 'pro' } },
      { status: 404, body: { error: 'Not Found' } },
      { status: 200, body: { report: [] } }
    ])

    const [addToStandard, addWrong, add, list, greet, report, unknown, ...rest] = example.curl.slice(6) as [string, string, string, string, string, string, string]
    t.strictSame(rest, [])
    const note = { id: 1, text: 'Order anvils', priority: 'high' }
    t.strictSame(await curl(addToStandard), { status: 201, body: { id: 1, text: 'Order staplers' } })
    t.match(await curl(addWrong), { status: 400, body: { message: /body must have required property 'priority'/ } })
    t.strictSame(await curl(add), { status: 201, body: note })
    t.strictSame(await curl(list), { status: 200, body: [note] })
    t.match(await curl(greet), { status: 200, body: { greeting: 'Globex Corporation welcomes you. Please look at the camera.' } })
    t.strictSame(await curl(report), { status: 200, body: { report: [] } }, 'Globex has the template too')
    t.match(await curl(unknown), { status: 404, body: { code: 'FST_TENANT_NOT_FOUND' } })

    t.strictSame(await curl(list.replace('acme', 'globex')), { status: 200, body: [] }, 'the note of a customer is in no schema of another on its template')
    t.match(await curl(add.replace('acme', 'hooli')), { status: 404 }, 'the template is for its own customers')

    await stopExample(t, example)
    t.notOk(existsSync(join(dataDir, 'postgres/postmaster.pid')), 'PostgreSQL was shut down')
  })

  await t.test('keeps its data over a restart, and finishes requests before it closes', async t => {
    const example = await startExample(t, dataDir)
    const list = example.curl.find(line => line.endsWith('/notes') && !line.includes('-d'))!
    const url = list.slice(list.indexOf('http://'))
    t.match(await curl(list), { status: 200, body: [{ text: 'Order anvils' }] })

    // The server sends "continue" when it has the request and only waits for the body.
    const headers = { 'x-tenant-id': 'acme', 'content-type': 'application/json', expect: '100-continue' }
    const posting = request(url, { method: 'POST', headers, agent: false })
    posting.flushHeaders()
    await once(posting, 'continue')

    const exited = once(example.process, 'exit')
    example.process.kill('SIGINT')
    await linesUntil(example.output, line => line.startsWith('Closing'))
    posting.end(JSON.stringify({ text: 'The last one', priority: 'low' }))

    const [response] = await once(posting, 'response')
    t.equal(response.statusCode, 201)
    t.match(await json(response), { text: 'The last one' })
    t.strictSame(await exited, [0, null])
  })

  await t.test('follows changes of the table of customers', async t => {
    const example = await startExample(t, dataDir)
    const [hooli, , initech, , reports] = example.curl as [string, string, string, string, string]
    t.match(await curl(hooli), { status: 200 })
    t.match(await curl(initech), { status: 200, body: { template: 'standard', plan: 'standard' } })
    const client = new pg.Client(example.connectionString)
    await client.connect()
    for (const sql of example.sql) await client.query(sql)
    await client.end()
    await until(async () => isDeepStrictEqual((await curl(initech)).body, { tenant: 'initech', name: 'Initech', plan: 'pro', template: 'pro' }), Infinity)
    t.match(await curl(reports), { status: 200, body: { report: [{ notes: 1 }] } }, 'the customer has the other template and its own notes')
    await until(async () => (await curl(hooli)).status === 403, Infinity)
    await stopExample(t, example)
  })

  await t.test('reports a port that is taken, and leaves no process behind', async t => {
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    t.teardown(() => other.close())
    const { port } = other.address() as AddressInfo

    const started = run(...command, { env: environment(dataDir, port) })
    await t.rejects(started, { code: 1, stderr: new RegExp(`Port ${port} is taken`) })
    t.notOk(existsSync(join(dataDir, 'postgres/postmaster.pid')), 'PostgreSQL was shut down')
  })
})
