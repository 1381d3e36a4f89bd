/** GET /reports: only the customers of this template have it. */
export default async function reports (app) {
  app.get('/', async ({ tenant }) => ({ report: await tenant.getService('NoteService').countByPriority() }))
}
