/** The folder's name is the prefix. Many customers share these routes, so the customer comes from the request. */
export default async function notes (app) {
  app.get('/', async ({ tenant }) => tenant.getService('NoteService').list())

  app.post('/', { schema: { body: { $ref: 'note#' } } }, async ({ tenant, body }, reply) => {
    reply.code(201)
    return tenant.getService('NoteService').add(body)
  })
}
