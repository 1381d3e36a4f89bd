/*
 * What does it matter which node a tenant's requests go to?
 *
 * A simulation, without any server: some nodes, each of which keeps its least recently used tenants loaded, as `maxActive` does, and
 * requests whose tenants are drawn by Zipf's law, as customers are: few large ones, many small ones. A balancer that takes any node
 * is compared with one that hashes the tenant's id consistently. Counted after a warm-up of the same length: loads of cold tenants
 * with room for some, and tenants in memory with room for all. The memory is that at 61 KB a tenant, which is what one costs that has
 * nothing of its own.
 */
import { LRUCache } from 'lru-cache'
import { makeRing, nodeOf } from './support/hash-ring.js'
import { makeRandom, zipf } from './support/zipf.js'

const NODES = 8
const TENANTS = 10_000
const MAX_ACTIVE = 1_000
const SKEW = 1
const REQUESTS_PER_SECOND = 2_000
const KB_PER_TENANT = 61

/** The figures as rows of the table. */
export async function measure ({ quick }) {
  const seconds = quick ? 60 : 300
  const ring = makeRing(NODES)
  const homes = Array.from({ length: TENANTS }, (_, tenant) => nodeOf(ring, `tenant-${tenant}`))
  const random = makeRandom(1)
  const balancers = {
    'any node': () => Math.floor(random() * NODES),
    'consistent hash': tenant => homes[tenant]
  }
  return Object.entries(balancers).flatMap(([name, route]) => {
    const { loads } = simulate(route, seconds, MAX_ACTIVE)
    const { resident } = simulate(route, seconds, TENANTS)
    return [
      { figure: `${name}: cold loads, maxActive ${MAX_ACTIVE}`, value: loads / seconds, unit: '1/s' },
      { figure: `${name}: tenants in memory per node, no limit`, value: resident, unit: 'tenants' },
      { figure: `${name}: memory for them per node`, value: resident * KB_PER_TENANT / 1024, unit: 'MB' }
    ]
  }).concat({ figure: 'consistent hash: tenants that move when a node is added', value: moved(homes), unit: '%' })
}

function simulate (route, seconds, max) {
  const random = makeRandom(2)
  const draw = zipf(TENANTS, SKEW, random)
  const nodes = Array.from({ length: NODES }, () => new LRUCache({ max }))
  const run = () => {
    let loads = 0
    for (let request = 0; request < seconds * REQUESTS_PER_SECOND; request++) {
      const tenant = draw()
      const node = nodes[route(tenant)]
      if (node.get(tenant) !== undefined) continue
      node.set(tenant, true)
      loads++
    }
    return loads
  }
  run()
  return { loads: run(), resident: nodes.reduce((sum, { size }) => sum + size, 0) / NODES }
}

function moved (homes) {
  const ring = makeRing(NODES + 1)
  return homes.filter((home, tenant) => nodeOf(ring, `tenant-${tenant}`) !== home).length / TENANTS * 100
}
