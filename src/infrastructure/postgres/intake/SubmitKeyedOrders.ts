import { Duration, Effect } from "effect"
import type { SqlClient } from "effect/sql"
import type { KeyedOrders, StoredAnswer } from "../../../application/ports/IntakeStore.ts"
import type { NewOrder } from "../../../domain/Order.ts"
import { milliseconds, texts, uuids } from "../client/Columns.ts"
import { tablesOf } from "../client/Tables.ts"
import { submitParts } from "./SubmitOrders.ts"

type Key = Pick<KeyedOrders, "scope" | "key">

// A scope has no line break, so different keys have different names.
const nameOf = ({ key, scope }: Key) => `${scope}\n${key}`

/** Reads the answers stored under these keys, without expired ones. */
const readAnswers = (sql: SqlClient.SqlClient, schema: string) => {
  const { idempotencyKeys, now } = tablesOf(sql, schema)
  return (keys: ReadonlyArray<Key>) => sql<StoredAnswer & Key>`
    SELECT scope, key, fingerprint, answer, request_id AS "requestId" FROM ${idempotencyKeys}
    WHERE (scope, key) IN (SELECT * FROM unnest(
      ${texts(keys.map(({ scope }) => scope))}::text[], ${texts(keys.map(({ key }) => key))}::text[]))
    AND expires_at > ${now}`
}

/** The answer stored under one key; null if there is none. */
export const findAnswer = (sql: SqlClient.SqlClient, schema: string) => {
  const read = readAnswers(sql, schema)
  return (key: Key) => Effect.map(read([key]), ([row = null]): StoredAnswer | null => row)
}

/**
 * Takes those of the `asked` keys that are free. The same statement stores their orders, and the `orders`
 * without a key.
 */
const takeKeys = (sql: SqlClient.SqlClient, schema: string) => {
  const { idempotencyKeys, now } = tablesOf(sql, schema)
  const submit = submitParts(sql, schema)

  return (orders: ReadonlyArray<NewOrder>, asked: ReadonlyArray<KeyedOrders>, isInTransaction: boolean) => {
    const keyed = asked.flatMap(({ orders, requestId }) => orders.map(({ id }) => ({ id, requestId })))
    const all = keyed.length === 0 ? orders : [...orders, ...asked.flatMap(({ orders }) => orders)]
    const lock = sql`hashtextextended(${schema} || ' ' || scope || ' ' || key, 0)`
    // The blocking lock function returns void, which is not null, so the row counts as free once the lock is held.
    const isFree = isInTransaction
      ? sql`pg_advisory_xact_lock(${lock}) IS NOT NULL`
      : sql`pg_try_advisory_xact_lock(${lock})`
    return sql<{ readonly requestId: string }>`
      WITH asked AS MATERIALIZED (
        SELECT * FROM unnest(
          ${texts(asked.map(({ scope }) => scope))}::text[],
          ${texts(asked.map(({ key }) => key))}::text[],
          ${texts(asked.map(({ fingerprint }) => fingerprint))}::text[],
          ${texts(asked.map(({ answer }) => answer))}::text[],
          ${uuids(asked.map(({ requestId }) => requestId))}::uuid[],
          ${milliseconds(asked.map(({ keepFor }) => Duration.toMillis(keepFor)))}::float8[]
        ) AS a (scope, key, fingerprint, answer, request_id, keep_ms)
      ), free AS MATERIALIZED (
        SELECT * FROM asked WHERE ${isFree}
      ), taken AS (
        INSERT INTO ${idempotencyKeys} AS stored (scope, key, fingerprint, answer, request_id, expires_at)
        SELECT scope, key, fingerprint, answer, request_id, ${now} + keep_ms * interval '1 millisecond' FROM free
        ON CONFLICT (scope, key) DO UPDATE SET fingerprint = excluded.fingerprint, answer = excluded.answer,
          request_id = excluded.request_id, expires_at = excluded.expires_at
        WHERE stored.expires_at <= ${now}
        RETURNING request_id
      ), skipped AS (
        SELECT id FROM unnest(
          ${uuids(keyed.map(({ id }) => id))}::uuid[],
          ${uuids(keyed.map(({ requestId }) => requestId))}::uuid[]
        ) AS k (id, request_id)
        WHERE request_id NOT IN (SELECT taken.request_id FROM taken)
      ), ${submit.orders(all, sql`WHERE id NOT IN (SELECT skipped.id FROM skipped)`)}, history AS (${submit.events})
      SELECT request_id AS "requestId" FROM taken`
  }
}

/**
 * Stores new orders, with and without keys. Free keys are taken in the statement that stores their orders. If
 * earlier calls took some of the keys, a second statement reads the answers stored under those keys.
 *
 * Outside of a caller's transaction, a batch never waits for a key. If another transaction, which may be a
 * long one of the app, is taking a key, a try-lock fails, the key is skipped and null is returned for it. So
 * two such batches cannot deadlock, and their callers wait for no other caller's transaction. Inside a
 * caller's transaction the statement does wait for keys, which it locks in a fixed sequence; PostgreSQL's
 * deadlock detection ends a cycle of such waits.
 */
export const submitKeyedOrders = (sql: SqlClient.SqlClient, schema: string) => {
  const take = takeKeys(sql, schema)
  const read = readAnswers(sql, schema)

  return Effect.fnUntraced(function* (
    orders: ReadonlyArray<NewOrder>,
    keyed: ReadonlyArray<KeyedOrders>,
    isInTransaction: boolean
  ) {
    // Of several calls with the same key in this batch, only the first takes part; the others get its result.
    const first = new Map<string, KeyedOrders>()
    for (const each of keyed) if (!first.has(nameOf(each))) first.set(nameOf(each), each)
    const asked = Array.from(first)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, each]) => each)
    const taken = new Set((yield* take(orders, asked, isInTransaction)).map(({ requestId }) => requestId))
    const answers = new Map<string, StoredAnswer>()
    for (const [name, each] of first) if (taken.has(each.requestId)) answers.set(name, each)
    const others = asked.filter(({ requestId }) => !taken.has(requestId))
    if (others.length > 0) for (const row of yield* read(others)) answers.set(nameOf(row), row)
    return keyed.map((each): StoredAnswer | null => answers.get(nameOf(each)) ?? null)
  })
}
