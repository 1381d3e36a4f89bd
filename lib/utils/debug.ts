import { debuglog } from 'node:util'

/** Prints the story of requests and generations to stderr with `NODE_DEBUG=fastify-multitenant`. Check `debug.enabled` first: it is free when off. */
export const debug = debuglog('fastify-multitenant')
