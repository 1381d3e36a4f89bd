import type { FastifyRequest } from 'fastify'

/** The id that a request names; `null` or `undefined` when it names none. */
export type TenantAnswer = string | null | undefined

/** Names the tenant of a request. What it throws refuses the request. */
export type IdentifyFunction = (request: FastifyRequest) => TenantAnswer | Promise<TenantAnswer>
