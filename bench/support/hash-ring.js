import { createHash } from 'node:crypto'

/** Points on the ring of each node: as many as even out its share. */
const POINTS = 200

/** A ring of nodes, for a consistent hash: when a node is added, only the keys that go to it move. */
export function makeRing (nodes) {
  const points = []
  for (let node = 0; node < nodes; node++) {
    for (let point = 0; point < POINTS; point++) points.push({ at: hash(`${node}/${point}`), node })
  }
  return points.sort((a, b) => a.at - b.at)
}

/** The number of the node that a key belongs to. */
export function nodeOf (ring, key) {
  const at = hash(key)
  return (ring.find(point => point.at >= at) ?? ring[0]).node
}

function hash (text) {
  return createHash('md5').update(text).digest().readUInt32BE()
}
