import t from 'tap'
import { IdleList } from '../../lib/leases/idle-list.ts'
import type { Idling } from '../../lib/leases/idle-list.ts'

class Member implements Idling {
  readonly name: string
  previousIdle: this | undefined
  nextIdle: this | undefined
  isListed = false

  constructor (name: string) {
    this.name = name
  }
}

function members (count: number): Member[] {
  return Array.from({ length: count }, (_, index) => new Member(`m${index}`))
}

function namesOf (list: IdleList<Member>): string[] {
  return [...list].map(({ name }) => name)
}

t.test('lists the least recently added member first', async t => {
  const list = new IdleList<Member>()
  t.same(namesOf(list), [])
  members(3).forEach(member => list.add(member))
  t.same(namesOf(list), ['m0', 'm1', 'm2'])
})

t.test('removes the first, the last, the middle and the only member', async t => {
  for (const [removed, left] of [[0, ['m1', 'm2']], [1, ['m0', 'm2']], [2, ['m0', 'm1']]] as const) {
    const list = new IdleList<Member>()
    const all = members(3)
    all.forEach(member => list.add(member))
    list.remove(all[removed] as Member)
    t.same(namesOf(list), left)
    list.add(all[removed] as Member)
    t.same(namesOf(list), [...left, `m${removed}`], 'a member that comes back is the last')
  }
  const list = new IdleList<Member>()
  const only = new Member('only')
  list.add(only)
  list.remove(only)
  t.same(namesOf(list), [])
  t.match(only, { isListed: false, previousIdle: undefined, nextIdle: undefined })
})

t.test('removing a member that is not in the list does nothing', async t => {
  const list = new IdleList<Member>()
  const [listed, other] = members(2) as [Member, Member]
  list.add(listed)
  list.remove(other)
  t.same(namesOf(list), ['m0'])
  list.remove(listed)
  list.remove(listed)
  t.same(namesOf(list), [])
})

t.test('the current member may be removed while the list is read', async t => {
  const list = new IdleList<Member>()
  members(4).forEach(member => list.add(member))
  const seen: string[] = []
  for (const member of list) {
    seen.push(member.name)
    list.remove(member)
  }
  t.same(seen, ['m0', 'm1', 'm2', 'm3'])
  t.same(namesOf(list), [])
})

t.test('stays right under any sequence of changes', async t => {
  const list = new IdleList<Member>()
  const all = members(20)
  let expected: Member[] = []
  let state = 7
  for (let step = 0; step < 2_000; step++) {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
    const member = all[state % all.length] as Member
    const isListed = expected.includes(member)
    t.equal(member.isListed, isListed)
    expected = expected.filter(other => other !== member)
    if (isListed) list.remove(member)
    else expected.push(member)
    if (!isListed) list.add(member)
    if (step % 100 === 0) t.same(namesOf(list), expected.map(({ name }) => name))
  }
})

/** A member that counts how often its neighbours are read. */
class Counted extends Member {
  reads = 0

  constructor (name: string) {
    super(name)
    let next: this | undefined
    Object.defineProperty(this, 'nextIdle', {
      get: () => {
        this.reads++
        return next
      },
      set: (value: this | undefined) => { next = value }
    })
  }
}

t.test('a change reads its neighbours only, however long the list is', async t => {
  const list = new IdleList<Counted>()
  const all = Array.from({ length: 10_000 }, (_, index) => new Counted(`m${index}`))
  all.forEach(member => list.add(member))
  const middle = all[5_000] as Counted
  list.remove(middle)
  list.add(middle)
  const [first] = list
  t.equal(first, all[0])
  t.ok(all.reduce((sum, { reads }) => sum + reads, 0) <= 4)
})
