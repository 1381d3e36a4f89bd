import importX from 'eslint-plugin-import-x'
import neostandard from 'neostandard'

/** The folders of lib/ from top to bottom: a file imports from its own folder and from folders further down. */
export const FOLDERS = [
  'lib/cli', 'lib/server', 'lib/plugin.ts', 'lib/request', 'lib/manager.ts', 'lib/tenants', 'lib/templates', 'lib/generations', 'lib/app', 'lib/scope', 'lib/leases', 'lib/fastify', 'lib/options.ts', 'lib/loading',
  'lib/identification', 'lib/sources', 'lib/hosts', 'lib/utils', 'lib/errors.ts', 'types'
]

/** A zone for each folder: imports from the folders above it are errors, and so are imports of types from them. */
const zones = FOLDERS.map((folder, index) => ({
  target: `./${folder}`,
  from: ['index.ts', ...FOLDERS.slice(0, index)].map(path => `./${path}`),
  message: `${folder} may import only from folders that stand further down in FOLDERS of eslint.config.js.`
}))

export default [
  // The broken fixtures are broken on purpose.
  { ignores: ['dist/', '.tap/', 'test/fixtures/broken*/', 'test/fixtures/**/syntax-error*'] },
  ...neostandard({ ts: true }),
  {
    files: ['lib/**/*.ts', 'types/**/*.ts'],
    ignores: ['types/*.test-d.ts'],
    plugins: { 'import-x': importX },
    rules: { 'import-x/no-restricted-paths': ['error', { zones }] }
  }
]
