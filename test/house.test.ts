import { readdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { ESLint } from 'eslint'
import t from 'tap'
import ts from 'typescript'

const ROOT = join(import.meta.dirname, '..')
const RULE = 'import-x/no-restricted-paths'
const LONGEST_FILE = 160

/** The files of `lib/` and `types/`, relative to the project. */
async function sources (): Promise<string[]> {
  const folders = await Promise.all(['lib', 'types'].map(async folder => {
    const entries = await readdir(join(ROOT, folder), { recursive: true })
    return entries.map(entry => join(folder, entry))
  }))
  return folders.flat().filter(file => file.endsWith('.ts') && !file.endsWith('.test-d.ts'))
}

/** The relative imports of a file, those of types included. */
function importsOf (file: string, text: string): string[] {
  const { importedFiles } = ts.preProcessFile(text, true, true)
  return importedFiles.map(({ fileName }) => fileName).filter(name => name.startsWith('.')).map(name => join(dirname(file), name))
}

/** The first circle of imports that can be found from `file`. */
function circleFrom (file: string, graph: ReadonlyMap<string, string[]>, path: string[] = [], done = new Set<string>()): string[] | undefined {
  if (path.includes(file)) return [...path.slice(path.indexOf(file)), file]
  if (done.has(file)) return undefined
  done.add(file)
  for (const next of graph.get(file) ?? []) {
    const circle = circleFrom(next, graph, [...path, file], done)
    if (circle !== undefined) return circle
  }
  return undefined
}

function anyCircle (graph: ReadonlyMap<string, string[]>): string[] | undefined {
  const done = new Set<string>()
  for (const file of graph.keys()) {
    const circle = circleFrom(file, graph, [], done)
    if (circle !== undefined) return circle
  }
  return undefined
}

t.test('no files import each other in a circle, types included', async t => {
  const files = await sources()
  const graph = new Map(await Promise.all(files.map(async file => [file, importsOf(file, await readFile(join(ROOT, file), 'utf8'))] as const)))
  t.ok(files.length > 100)
  t.ok([...graph.values()].flat().every(file => graph.has(file)), 'every import is a file that was read')
  t.equal(anyCircle(graph), undefined)

  graph.set('lib/errors.ts', ['lib/plugin.ts'])
  t.ok(anyCircle(graph), 'a circle would be found')
})

t.test('no file of lib/ is longer than 160 lines', async t => {
  for (const file of await sources()) {
    const lines = (await readFile(join(ROOT, file), 'utf8')).split('\n').length - 1
    t.ok(lines <= LONGEST_FILE || file.startsWith('types'), `${file} has ${lines} lines`)
  }
})

t.test('no test file is longer than 400 lines', async t => {
  const files = (await readdir(join(ROOT, 'test'), { recursive: true })).filter(file => file.endsWith('.test.ts'))
  t.ok(files.length > 80)
  for (const file of files) {
    const lines = (await readFile(join(ROOT, 'test', file), 'utf8')).split('\n').length - 1
    t.ok(lines <= 400, `${file} has ${lines} lines`)
  }
})

t.test('ESLint refuses an import from a folder further up', async t => {
  const eslint = new ESLint({ cwd: ROOT })
  const messages = async (file: string, text: string): Promise<Array<string | null>> => {
    const [result] = await eslint.lintText(text, { filePath: join(ROOT, file) })
    return (result?.messages ?? []).filter(({ ruleId }) => ruleId === RULE).map(({ ruleId }) => ruleId)
  }
  const importing = (specifier: string): string => `import type { Any } from '${specifier}'\nexport type Other = Any\n`

  t.strictSame(await messages('lib/errors.ts', importing('./plugin.ts')), [RULE])
  t.strictSame(await messages('lib/scope/scope.ts', importing('../app/parent-app.ts')), [RULE])
  t.strictSame(await messages('types/index.ts', importing('../lib/errors.ts')), [RULE])
  t.strictSame(await messages('lib/app/parent-app.ts', importing('../scope/scope.ts')), [])
})
