/** The kinds of errors that a run looks for, with what each means. */
export const KINDS = {
  crossTalk: "a reply, a header or a log line with another tenant's mark",
  mixed: 'a reply of two generations',
  usedAfterClose: 'a handler that used what its tenant had closed',
  wrongDoor: 'a route that this request must not reach',
  wrongReply: 'a reply that nothing explains',
  noReply: 'a request without a reply, though its client waited',
  suspendedServed: 'a suspended tenant that answered',
  leasesLeft: 'a request that still counts when all are over',
  uncaught: 'an error that would have ended the process'
}

const KEPT = 5

/** What a run has found: a count for each kind, and the first few of each in words. */
export class Findings {
  counts = Object.fromEntries(Object.keys(KINDS).map(kind => [kind, 0]))
  examples = []

  note (kind, action, text) {
    this.counts[kind]++
    if (this.counts[kind] <= KEPT) this.examples.push(`${kind}, action ${action ?? 'unknown'}: ${text}`)
  }

  get total () {
    return Object.values(this.counts).reduce((sum, count) => sum + count, 0)
  }
}
