import { noteHandler } from './handler-end.ts'
import { noteOnResponse } from './on-response-end.ts'
import type { RouteContext } from '../fastify/shapes.ts'

/** Makes a route tell the lease of each request when its handler and its onResponse hooks end. */
export function observeRoute (context: RouteContext): void {
  noteOnResponse(context)
  noteHandler(context)
}
