import { NoteService } from '../../../notes.js'

/** Acme's notes have a priority, so they can be counted by it. */
export default class AcmeNoteService extends NoteService {
  async countByPriority () {
    const { rows } = await this.db.query(
      `select body->>'priority' as priority, count(*)::int as notes from ${this.notes} group by 1 order by 1`
    )
    return rows
  }
}
