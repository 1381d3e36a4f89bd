/** GET /reports: the folder's name is the prefix, and no other tenant has it. */
export default async function reports (app, { tenant }) {
  app.get('/', async () => ({ report: await tenant.getService('NoteService').countByPriority() }))
}
