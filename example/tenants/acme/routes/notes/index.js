/** POST /notes in the place of the shared one: Acme's notes must fit schemas/note.json. */
export default async function notes (app, { tenant }) {
  app.post('/', { schema: { body: { $ref: 'note#' } } }, async ({ body }, reply) => {
    reply.code(201)
    return tenant.getService('NoteService').add(body)
  })
}
