import { debuglog } from 'node:util'

const log = debuglog('fastify-multitenant')

/** Writes the steps of requests and generations to stderr if `NODE_DEBUG=fastify-multitenant` is set; otherwise `undefined`, so that a call costs nothing. */
export const debug = log.enabled ? log : undefined
