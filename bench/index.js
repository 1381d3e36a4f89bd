/*
 * Runs every benchmark, prints one table and writes bench/results.json. Under three minutes, and half a minute with --quick, whose
 * figures are rougher. `node bench/index.js request` runs one of them and writes nothing.
 */
import { writeFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'

const { values: { quick }, positionals } = parseArgs({
  allowPositionals: true,
  options: { quick: { type: 'boolean', default: false } }
})
const all = ['request', 'identification', 'http', 'tenants', 'lifecycle', 'routing']
const names = positionals.length > 0 ? positionals : all

const figures = []
for (const name of names) {
  const { measure } = await import(`./${name}.js`)
  for (const row of await measure({ quick })) figures.push({ bench: name, ...row, value: Number(row.value.toPrecision(3)) })
}

console.table(figures, ['bench', 'figure', 'value', 'unit', 'target'])
if (names === all) {
  const machine = { node: process.version, cpu: cpus()[0].model, quick }
  await writeFile(new URL('results.json', import.meta.url), JSON.stringify({ machine, figures }, null, 2) + '\n')
}
