import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import { createQuietly } from '../fastify/create-quietly.ts'
import type { Internals } from '../fastify/internals.ts'

const NAMES = ['defaultRoute', 'onBadUrl', 'onMaxParamLength'] as const

/** What answers instead of a route, by the name of the router option. */
export type RouterAnswers = Partial<Record<typeof NAMES[number], (...parameters: never[]) => void>>

/** The answers that the user gave the router of the app. Fastify puts functions of its own where there are none, bound to its instance. */
export function routerAnswers (app: FastifyInstance, internals: Internals): RouterAnswers {
  const [options, defaults] = [app, createQuietly(() => Fastify())].map(instance => internals.get(instance, 'options').routerOptions)
  const given = NAMES.filter(name => String(options?.[name]) !== String(defaults?.[name]))
  return Object.fromEntries(given.map(name => [name, options?.[name]]))
}
