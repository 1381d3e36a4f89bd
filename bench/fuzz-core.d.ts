import type Fastify from 'fastify'
import type multitenant from '../index.ts'

export interface FuzzOptions {
  Fastify: typeof Fastify
  multitenant: typeof multitenant
  tenants: number
  requests: number
  seed: number
  guard?: 'on' | 'shared' | 'no lease'
  concurrency?: number
}

export interface FuzzReport {
  requests: number
  answered: number
  refused: number
  aborted: number
  crossTalk: number
  mixed: number
  usedAfterClose: number
  unexpected: string[]
  mostActive: number
  opened: number
  closed: number
  loads: number
  reloads: number
  evictions: number
}

export function randomNumbers (seed: number): () => number
export function fuzz (options: FuzzOptions): Promise<FuzzReport>
