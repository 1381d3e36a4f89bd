/*
 * Runs every benchmark, prints one table, and writes bench/results.json and the document that report.js makes of it. About a quarter
 * of an hour on a machine that does nothing else, and a third of that with --quick, whose figures are rougher. `node bench/index.js
 * request` runs one of them and writes nothing.
 */
import { writeFile } from 'node:fs/promises'
import { availableParallelism, cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { RESULTS, targetOf, writeReport } from './report.js'

const { values: { quick }, positionals } = parseArgs({
  allowPositionals: true,
  options: { quick: { type: 'boolean', default: false } }
})
const all = ['request', 'identification', 'http', 'tenants', 'cold-load', 'lifecycle', 'routing', 'reconcile']
const names = positionals.length > 0 ? positionals : all

const figures = []
for (const name of names) {
  const { measure } = await import(`./${name}.js`)
  for (const row of await measure({ quick })) figures.push({ bench: name, ...row, value: Number(row.value.toPrecision(3)) })
}

console.table(figures.map(row => ({ ...row, target: targetOf(row) })), ['bench', 'figure', 'tenants', 'value', 'spread', 'unit', 'target'])
if (names === all) {
  const machine = { node: process.version, cpu: cpus()[0].model, cores: availableParallelism(), quick }
  await writeFile(RESULTS, JSON.stringify({ machine, figures }, null, 2) + '\n')
  await writeReport()
}
