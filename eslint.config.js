import neostandard from 'neostandard'

export default [
  // The broken fixtures are broken on purpose.
  { ignores: ['dist/', '.tap/', 'test/fixtures/broken*/', 'test/fixtures/**/syntax-error*'] },
  ...neostandard({ ts: true })
]
