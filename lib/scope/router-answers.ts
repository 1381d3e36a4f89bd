import type { FastifyInstance } from 'fastify'
import { userRouterOptions } from '../fastify/options.ts'
import type { Internals } from '../fastify/internals.ts'

const NAMES = ['defaultRoute', 'onBadUrl', 'onMaxParamLength'] as const

/** The router options that answer a request when no route does. */
export type RouterAnswers = Partial<Record<typeof NAMES[number], (...parameters: never[]) => void>>

/** Returns those functions that the user passed in the app's router options. */
export function routerAnswers (app: FastifyInstance, internals: Internals): RouterAnswers {
  return userRouterOptions(app, internals, NAMES) as RouterAnswers
}
