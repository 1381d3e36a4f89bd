/*
 * What does it matter which node a tenant's requests go to?
 *
 * A simulation, without any server: some nodes, each of which keeps its least recently used tenants loaded, as `maxActive` does, and
 * requests whose tenants are drawn by Zipf's law, as customers are: few large ones, many small ones. A balancer that takes any node
 * is compared with one that hashes the tenant's id consistently. Counted after a warm-up of the same length: loads of cold tenants
 * with room for some, and tenants in memory with room for all. The memory is that at 61 KB a tenant, which is what one costs that has
 * nothing of its own.
 */
import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'

const NODES = 8
const TENANTS = 10_000
const MAX_ACTIVE = 1_000
const SKEW = 1
const REQUESTS_PER_SECOND = 2_000
const KB_PER_TENANT = 61
/** Points on the ring of each node: as many as even out its share. */
const POINTS = 200

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

/** Draws the numbers below `count`, of which the n-th comes with a probability of 1 / n ** skew. */
function zipf (count, skew, random) {
  const sums = new Float64Array(count)
  let sum = 0
  for (let n = 0; n < count; n++) sums[n] = sum += 1 / (n + 1) ** skew
  return () => {
    const at = random() * sum
    let low = 0
    let high = count - 1
    while (low < high) {
      const middle = (low + high) >> 1
      if (sums[middle] < at) low = middle + 1
      else high = middle
    }
    return low
  }
}

function makeRing (nodes) {
  const points = []
  for (let node = 0; node < nodes; node++) {
    for (let point = 0; point < POINTS; point++) points.push({ at: hash(`${node}/${point}`), node })
  }
  return points.sort((a, b) => a.at - b.at)
}

function nodeOf (ring, id) {
  const at = hash(id)
  return (ring.find(point => point.at >= at) ?? ring[0]).node
}

function moved (homes) {
  const ring = makeRing(NODES + 1)
  return homes.filter((home, tenant) => nodeOf(ring, `tenant-${tenant}`) !== home).length / TENANTS * 100
}

function hash (text) {
  return createHash('md5').update(text).digest().readUInt32BE()
}

/** Random numbers that are the same in each run: https://en.wikipedia.org/wiki/Xorshift */
function makeRandom (seed) {
  let state = seed * 0x9E3779B1 >>> 0
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state = (state ^ (state << 5)) >>> 0
    return state / 2 ** 32
  }
}
