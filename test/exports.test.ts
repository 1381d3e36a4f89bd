import { join } from 'node:path'
import t from 'tap'
import ts from 'typescript'

const ROOT = join(import.meta.dirname, '..')
/** The modules that users import: the exports of package.json. */
const MODULES = ['index.ts', 'lib/sources/postgres/postgres.ts', 'lib/sources/conformance/conformance.ts']

/** Reads the declarations of a module. `undocumented` lists exports, and members of types in `types/`, without TSDoc. */
function exportsOf (program: ts.Program, module: string): { names: string[], undocumented: string[] } {
  const checker = program.getTypeChecker()
  const file = checker.getSymbolAtLocation(program.getSourceFile(join(ROOT, module)) as ts.Node) as ts.Symbol
  const isDocumented = (symbol: ts.Symbol): boolean => symbol.getDocumentationComment(checker).length > 0
  const names: string[] = []
  const undocumented: string[] = []
  for (const exported of checker.getExportsOfModule(file)) {
    const symbol = (exported.flags & ts.SymbolFlags.Alias) === 0 ? exported : checker.getAliasedSymbol(exported)
    names.push(exported.name)
    if (!isDocumented(symbol)) undocumented.push(exported.name)
    const isContract = symbol.declarations?.some(({ parent }) => parent.getSourceFile().fileName.startsWith(join(ROOT, 'types'))) === true
    for (const member of isContract ? symbol.members?.values() ?? [] : []) {
      if ((member.flags & ts.SymbolFlags.TypeParameter) === 0 && !isDocumented(member)) undocumented.push(`${exported.name}.${member.name}`)
    }
  }
  return { names, undocumented }
}

/** Compiles the modules. `replace` changes the text of their files. */
function compile (replace: (text: string) => string = text => text): ts.Program {
  const { config } = ts.readConfigFile(join(ROOT, 'tsconfig.json'), ts.sys.readFile)
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, ROOT)
  const host = ts.createCompilerHost(options)
  const read = host.getSourceFile
  host.getSourceFile = (name, target) => {
    if (!name.startsWith(join(ROOT, 'types'))) return read(name, target)
    return ts.createSourceFile(name, replace(ts.sys.readFile(name) as string), target)
  }
  return ts.createProgram(MODULES.map(module => join(ROOT, module)), options, host)
}

t.test('every export, and every member of a public type, has a TSDoc line', async t => {
  const program = compile()
  for (const module of MODULES) {
    const { names, undocumented } = exportsOf(program, module)
    t.ok(names.length > 0, `${module} has exports`)
    t.strictSame(undocumented, [], module)
  }
})

t.test('an export without a TSDoc line is found', async t => {
  const program = compile(text => text.replace(/\/\*\* The options of the plugin\. \*\/\n/, '').replace(/\/\*\* How many tenants without code of their own may be loaded\..*\n/, ''))
  const { undocumented } = exportsOf(program, 'index.ts')
  t.strictSame(undocumented, ['MultitenantOptions', 'MultitenantOptions.maxResident'])
})
