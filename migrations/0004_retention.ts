import { Effect } from "effect"
import { SqlClient } from "effect/sql"

/** What deleting old final orders costs: the oldest of a status are found at once, and what goes with them too. */
export default (schema: string) =>
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    const s = `"${schema}"`
    const run = (statement: string) => sql.unsafe(statement)

    // By status first: where FAILED orders are kept longer than PROCESSED ones, the old ones of the other status are
    // not stepped over again by every batch. It takes the place of orders_final, so a write costs what it did.
    yield* run(`DROP INDEX ${s}.orders_final`)
    yield* run(
      `CREATE INDEX orders_final ON ${s}.orders (status, updated_at) WHERE status IN ('PROCESSED', 'FAILED')`
    )

    // As the claim: a plan made while a table was small must not go on reading the whole of it when it has grown.
    for (const name of ["delete_whole", "guard_history_delete", "delete_metadata", "guard_dead_letter"])
      yield* run(`ALTER FUNCTION ${s}.order_platform_${name}() SET enable_seqscan = off`)
  })
