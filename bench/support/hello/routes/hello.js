export const handler = (request, reply) => { reply.send({ hello: 'world' }) }

/** A tenant's folder has this route. */
export default async function hello (app) {
  app.get('/hello', handler)
}
