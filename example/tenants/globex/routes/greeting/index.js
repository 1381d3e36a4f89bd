/** GET /greeting in the place of the app's, for Globex alone: code of its own gets its tenant when it is registered. */
export default async function greeting (app, { tenant }) {
  app.get('/', async () => ({ greeting: `${tenant.name} welcomes you. Please look at the camera.` }))
}
