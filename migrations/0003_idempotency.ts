import { Effect } from "effect"
import { SqlClient } from "effect/sql"

/**
 * Answers that are given again to whoever repeats a request with the same key. A row is written in the statement that
 * stores the orders of its request, and outlives them; it is free again once it has expired.
 */
export default (schema: string) =>
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    const s = `"${schema}"`
    const run = (statement: string) => sql.unsafe(statement)

    // The answer is JSON as text: nobody looks into it, and jsonb would refuse some of what a problem may quote.
    // Bytes in the order of "C" because keys are only ever compared for being the same.
    yield* run(`
      CREATE TABLE ${s}.idempotency_keys (
        scope text COLLATE "C" NOT NULL,
        key text COLLATE "C" NOT NULL,
        fingerprint text COLLATE "C" NOT NULL,
        answer text NOT NULL,
        taker uuid NOT NULL,
        expires_at timestamptz NOT NULL,
        PRIMARY KEY (scope, key)
      )`)
    yield* run(`CREATE INDEX idempotency_keys_expiry ON ${s}.idempotency_keys (expires_at)`)
  })
