import type { Sql } from "../chaos/Sql.ts"

/** How orders of a contender are inserted, watched and timed, by the database's clock. */
export interface Table {
  /** Inserts orders that wait to be processed, in addition to those of `prepare`. */
  readonly addBacklog: (sql: Sql, count: number) => Promise<void>
  readonly isDone: (sql: Sql) => Promise<boolean>
  /** The number of final orders, or of those that became final since then. */
  readonly countFinal: (sql: Sql, since?: string) => Promise<number>
  /** Of the orders created since then: the seconds from the first start or creation to the last end. */
  readonly span: (
    sql: Sql,
    since: string
  ) => Promise<{ readonly startedToFinal: number; readonly createdToFinal: number }>
  /** Milliseconds from created to started of the orders created since then: median and 99th percentile. */
  readonly pickUp: (sql: Sql, since: string) => Promise<{ readonly p50: number; readonly p99: number }>
}

interface Span {
  readonly started_to_final: number
  readonly created_to_final: number
}

const one = async <Row extends object>(
  sql: Sql,
  statement: string,
  parameters: ReadonlyArray<unknown> = []
) => {
  const [row] = await sql.query<Row>(statement, parameters)
  if (row === undefined) throw new Error(`No row: ${statement}`)
  return row
}

/** The database's time in full precision. */
export const now = async (sql: Sql): Promise<string> =>
  (await one<{ now: string }>(sql, "SELECT clock_timestamp()::text AS now")).now

/** The SQL that reads the progress of a contender from its tables. */
interface Progress {
  /** SQL: whether no order waits or runs. */
  readonly isDone: string
  /** SQL: selects the orders that became final since `$1`. */
  readonly final: string
}

const tableOf = (timed: string, progress: Progress, addBacklog: Table["addBacklog"]): Table => ({
  addBacklog,
  isDone: async (sql) => (await one<{ done: boolean }>(sql, `SELECT ${progress.isDone} AS done`)).done,
  countFinal: async (sql, since = "-infinity") =>
    (
      await one<{ count: number }>(sql, `SELECT count(*)::int AS count FROM (${progress.final}) AS final`, [
        since
      ])
    ).count,
  span: async (sql, since) => {
    const row = await one<Span>(
      sql,
      `SELECT extract(epoch FROM max(final_at) - min(started_at))::float8 AS started_to_final,
        extract(epoch FROM max(final_at) - min(created_at))::float8 AS created_to_final
      FROM (${timed}) AS timed`,
      [since]
    )
    return { startedToFinal: row.started_to_final, createdToFinal: row.created_to_final }
  },
  pickUp: (sql, since) =>
    one<{ p50: number; p99: number }>(
      sql,
      `SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY waited) AS p50, percentile_disc(0.99) WITHIN GROUP (ORDER BY waited) AS p99
      FROM (SELECT greatest(0, extract(epoch FROM started_at - created_at) * 1000)::float8 AS waited FROM (${timed}) AS timed) AS waits`,
      [since]
    )
})

/** SQL for a time-ordered id like the platform's; random ids would make a large index slower. */
export const idAt = (time: string) =>
  `(lpad(to_hex((extract(epoch FROM ${time}) * 1000)::bigint), 12, '0') || '7' || substr(md5(random()::text), 1, 3) || 'a' || substr(md5(random()::text), 1, 15))::uuid`

// There is no index on created_at, as with the peers.
const productTimed = `
  SELECT o.created_at, e.at AS started_at, o.updated_at AS final_at
  FROM orders o JOIN order_events e ON e.order_id = o.id AND e.version = 2 WHERE o.created_at >= $1::text::timestamptz`

const productProgress: Progress = {
  isDone: `NOT EXISTS (SELECT FROM order_due) AND NOT EXISTS (SELECT FROM order_key_waiting) AND NOT EXISTS (SELECT FROM order_running)`,
  final:
    "SELECT FROM order_final WHERE status IN ('PROCESSED', 'FAILED') AND final_at >= $1::text::timestamptz"
}

export const productTable = tableOf(productTimed, productProgress, async (sql, count) => {
  await sql.query(
    `WITH stored AS (
      INSERT INTO orders (id, status, version, max_retries, priority, type, ordering_key, group_name, due_at, created_at, updated_at, correlation_id, payload_version, payload, metadata)
      SELECT ${idAt("clock_timestamp()")}, 'PENDING', 1, 3, 0, 'default', '', '', order_platform_now(), order_platform_now(), order_platform_now(), 'bench', 1, '{"item": "book"}', '{}'
      FROM generate_series(1, $1::int)
      RETURNING id, created_at
    ), due AS (
      INSERT INTO order_due (priority, group_name, type, due_at, order_id, is_retry)
      SELECT 0, '', 'default', created_at, id, false FROM stored
    )
    INSERT INTO order_events (order_id, version, event, to_status, at, attempt)
    SELECT id, 1, 'created', 'PENDING', created_at, 1 FROM stored`,
    [count]
  )
})

export const peerTable = tableOf(
  "SELECT created_at, started_at, updated_at AS final_at FROM orders WHERE created_at >= $1::text::timestamptz",
  {
    isDone: `NOT EXISTS (SELECT FROM orders WHERE status = 'PENDING') AND NOT EXISTS (SELECT FROM orders WHERE status = 'PROCESSING')`,
    final:
      "SELECT FROM orders WHERE status IN ('PROCESSED', 'FAILED') AND updated_at >= $1::text::timestamptz"
  },
  async () => {}
)

/** Inserts final orders with their history in chunks, with the guards disabled for this only. */
export const addFinalOrders = async (
  sql: Sql,
  count: number,
  progress: (done: number) => void
): Promise<void> => {
  const chunk = 100_000
  for (let done = 0; done < count; done += chunk) {
    await sql.query(`DO $$ BEGIN
      SET LOCAL session_replication_role = replica;
      WITH stored AS (
        INSERT INTO orders (id, status, version, max_retries, priority, type, ordering_key, group_name, created_at, updated_at, correlation_id, payload_version, payload, metadata)
        SELECT ${idAt("clock_timestamp() - interval '1 day'")}, 'PROCESSED', 3, 3, 0, 'default', '', '', now() - interval '1 day', now() - interval '1 day', 'bench', 1, '{"item": "book", "quantity": 1}', '{}'
        FROM generate_series(1, ${Math.min(chunk, count - done)})
        RETURNING id, created_at
      ), final AS (
        INSERT INTO order_final (status, created_at, order_id, final_at) SELECT 'PROCESSED', created_at, id, created_at FROM stored
      )
      INSERT INTO order_events (order_id, version, event, from_status, to_status, at, attempt, worker)
      SELECT id, version, event, from_status, to_status, created_at, 1, CASE WHEN version > 1 THEN 'bench' END
      FROM stored CROSS JOIN (VALUES (1, 'created', NULL, 'PENDING'), (2, 'started', 'PENDING', 'PROCESSING'), (3, 'completed', 'PROCESSING', 'PROCESSED'))
        AS life (version, event, from_status, to_status);
    END $$`)
    // From time to time, so that no vacuum of the whole table has to run later.
    if (done % 500_000 === 0) await sql.query("VACUUM (ANALYZE)")
    progress(Math.min(done + chunk, count))
  }
}
