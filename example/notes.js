/** The notes of one tenant. A tenant decides what a note holds beside its text. */
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
