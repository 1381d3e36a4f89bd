import { debuglog } from 'node:util'

const log = debuglog('fastify-multitenant')

/** Prints the story of requests and generations to stderr with `NODE_DEBUG=fastify-multitenant`; `undefined` without it, so that a call costs nothing. */
export const debug = log.enabled ? log : undefined
