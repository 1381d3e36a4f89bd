import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { report } from '../../bench/report.js'
import { ROOT } from '../fixtures/readme/markdown.ts'
import type { Figure, Results } from '../../bench/report.js'

const results: Results = JSON.parse(await readFile(join(ROOT, 'bench/results.json'), 'utf8'))

t.test('docs/performance.md and its plots are made from the results', async t => {
  for (const [name, document] of Object.entries(report(results))) {
    t.equal(await readFile(join(ROOT, 'docs', name), 'utf8'), document, `${name}: run node bench/report.js`)
    if (name.endsWith('.svg')) t.match(report(results)['performance.md'], `](${name})`)
  }
})

t.test('the page names each missed target with its reason, and no target that is met', async t => {
  const { 'performance.md': document } = report({
    ...results,
    figures: results.figures.map(({ atLeast, atMost, why, ...figure }, index) => {
      const { value } = figure
      if (index === 0) return { ...figure, atMost: value, atLeast: value }
      return index === 1 ? { ...figure, atMost: value - 1, why: 'Known from a profile.' } : figure
    })
  })
  const [, missed] = /## Targets missed\n\n(.*?)\n\n/s.exec(document as string) as unknown as [string, string]
  t.equal(missed.split('\n').length, 1)
  t.match(missed, results.figures[1]?.figure)
  t.match(missed, 'Known from a profile.')
  t.equal(document?.match(/\*\*missed\*\*/g)?.length, 1)
})

t.test('the page gives the spread of a figure that has one', async t => {
  const [first, ...others] = results.figures as [Figure, ...Figure[]]
  const { 'performance.md': document } = report({ ...results, figures: [{ ...first, spread: '1.01–1.23' }, ...others] })
  t.match(document, ` | ${first.value} | 1.01–1.23 | ${first.unit} | `)
})
