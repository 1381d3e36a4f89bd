/*
 * Makes docs/performance.md and its plots of bench/results.json, and of nothing else: `node bench/report.js`.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { pathToFileURL } from 'node:url'
import { plot } from './support/plot.js'

export const RESULTS = new URL('results.json', import.meta.url)
const DOCS = new URL('../docs/', import.meta.url)

const SECTIONS = [
  {
    bench: 'request',
    title: 'A request inside the process',
    about: 'One GET request that answers with a small JSON object, from the server to the end of the response, without socket and parser. ' +
      'The tenants are asked in turn. Code that serves many scopes alternately is slower in any Fastify app: the plain plugins with prefixes show by how much. @giogaspa/fastify-multitenant says whose request it is, and has no routes of a tenant.',
    plots: [{ file: 'request.svg', unit: 'µs', title: 'Time per request', y: 'µs' }]
  },
  {
    bench: 'http',
    title: 'Requests over HTTP',
    about: 'The same request over a socket, by 50 connections that send as much as they can. The rounds are interleaved, and medians of the ratios within a round count. ' +
      'The server shares the machine with the load generator. The processor time is what the process of the server works for a request. p99 is the time that 99 of 100 requests do not pass.',
    plots: []
  },
  {
    bench: 'tenants',
    title: 'Memory of a loaded tenant',
    about: 'Per tenant of three routes, after a forced garbage collection. Resident memory is that of the whole process: it holds what V8 has taken and not given back.',
    plots: [
      { file: 'heap.svg', unit: 'KB of heap', title: 'Heap per tenant', y: 'KB' },
      { file: 'resident.svg', unit: 'KB resident', title: 'Resident memory per tenant', y: 'KB' }
    ]
  },
  {
    bench: 'cold-load',
    title: 'The load of a tenant',
    about: 'The time that the first request waits: tenants of ten routes with schemas, loaded one after the other.',
    plots: []
  },
  {
    bench: 'lifecycle',
    title: 'Loads, reloads and failures under load',
    about: 'The view of a client. Ratios are to the same server and the same load without the disturbance.',
    plots: []
  }
]

/** The documents, by the name that each has in docs/. */
export function report ({ machine, figures }) {
  const plots = SECTIONS.flatMap(({ bench, plots }) => plots.map(each => [each.file, draw(each, rowsOf(figures, bench))]))
  return { 'performance.md': text(machine, figures), ...Object.fromEntries(plots) }
}

/** Writes what `report` makes of the last results. */
export async function writeReport () {
  await mkdir(DOCS, { recursive: true })
  const documents = report(JSON.parse(await readFile(RESULTS, 'utf8')))
  for (const [name, document] of Object.entries(documents)) await writeFile(new URL(name, DOCS), document)
}

/** The target of a figure, in words. */
export function targetOf ({ atLeast, atMost }) {
  if (atLeast !== undefined) return `at least ${atLeast}`
  return atMost === undefined ? '' : `at most ${atMost}`
}

function text ({ node, cpu, cores, quick }, figures) {
  return `# Performance

Made by \`npm run bench\` with Node ${node} on ${cores} cores (${cpu})${quick ? ', in the short form, whose figures are rough' : ''}.
The file of the same name in [bench/](../bench/) says at its top what each section measures, and how.

## Targets missed

${missed(figures)}${SECTIONS.map(section => sectionText(section, rowsOf(figures, section.bench))).join('')}`
}

function missed (figures) {
  const rows = figures.filter(isMissed)
  if (rows.length === 0) return 'None.\n'
  return rows.map(row => `- ${nameOf(row)}: ${row.value} ${row.unit}, ${targetOf(row)} wanted.${row.why === undefined ? '' : ` ${row.why}`}\n`).join('')
}

function isMissed ({ value, atLeast = -Infinity, atMost = Infinity }) {
  return value < atLeast || value > atMost
}

function nameOf ({ figure, tenants }) {
  return tenants === undefined ? figure : `${figure}, ${tenants.toLocaleString('en')} tenant${tenants === 1 ? '' : 's'}`
}

function sectionText ({ bench, title, about, plots }, rows) {
  return `
## ${title}

${about}
${plots.map(({ file, title }) => `\n![${title} against the number of tenants](${file})\n`).join('')}
| \`bench/${bench}.js\` | tenants | figure | unit | target | |
|---|---|---|---|---|---|
${rows.map(row => `| ${row.figure} | ${row.tenants?.toLocaleString('en') ?? ''} | ${row.value} | ${row.unit} | ${targetOf(row)} | ${verdict(row)} |\n`).join('')}`
}

function verdict (row) {
  if (targetOf(row) === '') return ''
  return isMissed(row) ? '**missed**' : 'met'
}

function draw ({ unit, title, y }, rows) {
  const series = {}
  // A logarithmic axis has no place for what is lost in the noise.
  for (const row of rows.filter(row => row.unit === unit && row.value > 0)) (series[row.figure] ??= []).push([row.tenants, row.value])
  return plot({ title, x: 'tenants', y }, series)
}

function rowsOf (figures, bench) {
  return figures.filter(row => row.bench === bench)
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await writeReport()
