import importX from 'eslint-plugin-import-x'
import neostandard from 'neostandard'

/** The rooms of lib/ from the roof to the ground: a file imports its own room and rooms further down. */
export const ROOMS = [
  'lib/cli', 'lib/server', 'lib/plugin.ts', 'lib/request', 'lib/manager.ts', 'lib/tenants', 'lib/app', 'lib/scope', 'lib/leases', 'lib/fastify', 'lib/options.ts', 'lib/loading',
  'lib/identification', 'lib/sources', 'lib/hosts', 'lib/utils', 'lib/errors.ts', 'types'
]

/** A zone for each room: imports from the rooms above it are errors, and so are imports of types from them. */
const zones = ROOMS.map((room, index) => ({
  target: `./${room}`,
  from: ['index.ts', ...ROOMS.slice(0, index)].map(path => `./${path}`),
  message: `${room} may import only rooms that stand further down in ROOMS of eslint.config.js.`
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
