import { NoteService } from '../../standard/services/NoteService.js'

/** Notes with a priority, so they can be counted by it. */
class ProNoteService extends NoteService {
  async countByPriority () {
    const { rows } = await this.db.query(
      `select body->>'priority' as priority, count(*)::int as notes from ${this.notes} group by 1 order by 1`
    )
    return rows
  }
}

export default async function createProNoteService (db, config) {
  await db.createTables()
  return new ProNoteService(db, config)
}
