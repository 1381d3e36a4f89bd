import type { EventEmitter } from 'node:events'
import type { FastifyInstance } from 'fastify'

/** A response that has begun, and may have ended. */
export interface FakeResponse extends EventEmitter {
  statusCode: number
  body: string
  writableEnded: boolean
}

export function request (app: FastifyInstance, url: string, headers: Record<string, string>, rawHeaders?: string[]): FakeResponse
