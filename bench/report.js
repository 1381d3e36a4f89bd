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
    about: 'One GET request that answers with a small JSON object, from the server to the end of the response, without socket and parser: processor time, medians of several starts. ' +
      'The tenants are asked in turn. Code that serves many scopes alternately is slower in any Fastify app: the plain plugins with prefixes show by how much. @giogaspa/fastify-multitenant says whose request it is, and has no routes of a tenant.',
    plots: [{ file: 'request.svg', unit: 'µs', title: 'Time per request', y: 'µs' }]
  },
  {
    bench: 'http',
    title: 'Requests over HTTP',
    about: 'The same request over a socket, by 50 connections that send as much as they can. What counts is the processor time of the server for a request. ' +
      'Each measurement has a fresh process, which is warmed first. The apps take turns and are started several times.',
    plots: []
  },
  {
    bench: 'tenants',
    title: 'Memory of a loaded tenant',
    about: 'Per tenant of three routes, or without code of its own, after a forced garbage collection. Resident memory is that of the whole process: it holds what V8 has taken and not given back.',
    plots: [
      { file: 'heap.svg', unit: 'KB of heap', title: 'Heap per tenant', y: 'KB' },
      { file: 'resident.svg', unit: 'KB resident', title: 'Resident memory per tenant', y: 'KB' }
    ]
  },
  {
    bench: 'cold-load',
    title: 'The load of a tenant',
    about: 'The time that the first request waits: tenants of ten routes with schemas, or without code of their own, loaded one after the other. Medians of several starts.',
    plots: []
  },
  {
    bench: 'lifecycle',
    title: 'Loads, reloads and failures under load',
    about: 'The view of a client. Ratios are to the same server and the same load without the disturbance, before and after it: medians of several rounds.',
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
The file of the same name in [bench/](../bench/) says at its top what each section measures, and how. A spread is the least and the
greatest value of several starts or rounds, whose median the figure is.

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
| \`bench/${bench}.js\` | tenants | figure | spread | unit | target | |
|---|---|---|---|---|---|---|
${rows.map(row => `| ${row.figure} | ${row.tenants?.toLocaleString('en') ?? ''} | ${row.value} | ${row.spread ?? ''} | ${row.unit} | ${targetOf(row)} | ${verdict(row)} |\n`).join('')}`
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
