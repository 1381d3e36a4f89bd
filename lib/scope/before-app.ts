import { contextsOf } from '../fastify/router.ts'
import type { RouteContext, Router } from '../fastify/shapes.ts'
import type { ParentRoutes } from './scope-parent.ts'

const kBeforeApp = Symbol('fastify-multitenant.before-app')

interface Marked extends RouteContext { [kBeforeApp]?: boolean }

/** Marks the routes that no route of the app takes requests from. Such an exact route answers its URL, whatever routes the app has. */
export function markBeforeApp (router: Router, reserved: ParentRoutes['reserved']): void {
  for (const route of contextsOf(router)) (route as Marked)[kBeforeApp] = !reserved.mayTakeFrom(route)
}

/** Whether a route is marked. */
export function isBeforeApp (context: RouteContext): boolean {
  return (context as Marked)[kBeforeApp] === true
}
