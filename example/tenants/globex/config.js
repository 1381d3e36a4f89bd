/** A config may be a function, even an async one: it gets the tenant's id and Fastify instance. */
export default async () => ({ plan: 'pro' })
