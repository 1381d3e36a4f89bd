/** GET /greeting in the place of the shared one, for Globex alone. */
export default async function greeting (app, { tenant }) {
  app.get('/', async () => ({ greeting: `${tenant.name} welcomes you. Please look at the camera.` }))
}
