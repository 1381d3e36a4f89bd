import t from 'tap'
import { checkTenantId, isTenantId } from '../../lib/utils/tenant-id.ts'

const GOOD = ['a', 'A', '7', 'acme', 'Acme-2_b', 'constructor', 'x'.repeat(63), 'a-', 'a_', 'xn--4ca']

const BAD: unknown[] = [
  '', ' ', 'acme ', ' acme', 'acme\n', '\nacme', 'ac me', '-acme', '_acme', '__proto__', '.', '..', '../acme', 'acme/..', 'acme\\x',
  'a.b', 'a,b', 'acme, globex', 'acme\0', '%2e%2e', '%61cme', 'acme?x', 'acme#x', 'x'.repeat(64), 'x'.repeat(300), 'аcme', 'acmé', 'ａcme', 'acme\u200b',
  0, 7, NaN, true, false, {}, [], ['acme'], { toString: () => 'acme' }, Symbol('acme'), () => 'acme', Promise.resolve('acme')
]

t.test('valid ids pass unchanged', async (t) => {
  for (const id of GOOD) {
    t.equal(isTenantId(id), true, id)
    t.equal(checkTenantId(id), id, id)
  }
})

t.test('anything else is refused, and not taken for no id', async (t) => {
  for (const [at, value] of BAD.entries()) {
    t.equal(isTenantId(value), false, `case ${at}`)
    t.throws(() => checkTenantId(value), { code: 'FST_TENANT_INVALID_ID', statusCode: 400 }, `case ${at}`)
  }
})

t.test('null and undefined are no id', async (t) => {
  t.equal(checkTenantId(null), null)
  t.equal(checkTenantId(undefined), null)
  t.equal(isTenantId(null), false)
  t.equal(isTenantId(undefined), false)
})
