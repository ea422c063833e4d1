import { Effect, Schedule } from "effect"
import type { SqlClient } from "effect/sql"

interface Waiting {
  readonly what: string
  readonly pid: number
  readonly application: string | null
  readonly role: string | null
  readonly state: string | null
  readonly seconds: number | null
}

const sentence = ({ application, pid, role, seconds, state, what }: Waiting): string => {
  const who = [
    application,
    role === null ? "" : `role ${role}`,
    state,
    seconds === null ? "" : `for ${seconds} s`
  ]
  return `Waiting for a lock on ${what}, held by the server process ${pid} (${who.filter(Boolean).join(", ")}).`
}

/** Advisory locks are excluded, because the migration that waits for one logs it itself. */
const locksOf = (sql: SqlClient.SqlClient, pid: number) => sql<Waiting>`
  SELECT DISTINCT ON (b.pid) coalesce(l.relation::regclass::text, l.locktype) AS what, b.pid,
    nullif(b.application_name, '') AS application, b.usename AS role, b.state,
    extract(epoch FROM clock_timestamp() - b.xact_start)::int AS seconds
  FROM pg_locks l
  CROSS JOIN unnest(pg_blocking_pids(l.pid)) AS blocking (pid)
  JOIN pg_stat_activity b ON b.pid = blocking.pid
  WHERE l.pid = ${pid} AND NOT l.granted AND l.locktype <> 'advisory'`

/**
 * Logs the locks that the transaction of the server process `pid` waits for, and who holds them: after 5 s,
 * then once a minute. It uses a separate connection, because the connection of the transaction is blocked.
 * The effect never ends.
 */
export const logLocks = (sql: SqlClient.SqlClient, pid: number): Effect.Effect<never> =>
  Effect.flatMap(
    locksOf(sql, pid),
    Effect.forEach((lock) => Effect.logWarning(sentence(lock)))
  ).pipe(
    Effect.ignore,
    Effect.repeat(Schedule.spaced("1 minute")),
    Effect.delay("5 seconds"),
    Effect.andThen(Effect.never)
  )
