/** The notes of one customer. A template's service is made for each customer, when the customer is loaded. */
export class NoteService {
  constructor (db, config) {
    this.db = db
    this.notes = db.table('notes')
    this.limit = config.NOTES_PER_PAGE
  }

  /** The newest notes, newest first. */
  async list () {
    const { rows } = await this.db.query(`select id, body from ${this.notes} order by id desc limit $1`, [this.limit])
    return rows.map(({ id, body }) => ({ id, ...body }))
  }

  async add (note) {
    const { rows: [{ id }] } = await this.db.query(`insert into ${this.notes} (body) values ($1) returning id`, [note])
    return { id, ...note }
  }
}

/** Creates the service. It has to be a function, because the customer's tables come first. */
export default async function createNoteService (db, config) {
  await db.createTables()
  return new NoteService(db, config)
}
