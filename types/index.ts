import './fastify.ts'

export type * from './identification.ts'
export type * from './options.ts'
export type * from './plugins.ts'
export type * from './server.ts'
export type * from './source.ts'
export type * from './tenant-config.ts'
export type * from './tenants.ts'
