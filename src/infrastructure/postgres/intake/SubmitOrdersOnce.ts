import { Duration, Effect } from "effect"
import type { SqlClient } from "effect/sql"
import type { KeyedOrders, StoredAnswer } from "../../../application/ports/IntakeStore.ts"
import type { NewOrder } from "../../../domain/Order.ts"
import { milliseconds, texts, uuids } from "../client/Columns.ts"
import { makeStoreOrders } from "./SubmitOrders.ts"
import { tablesOf } from "../client/Tables.ts"

interface KeptRow extends StoredAnswer {
  readonly scope: string
  readonly key: string
}

/**
 * Stores new orders, some of them once for a key: keys are taken in the statement that stores their orders, and what
 * others keep is read by one more, if there is any.
 *
 * A batch never waits for a key: an advisory lock says whether somebody else is taking it right now, perhaps in an
 * app's long transaction, and then it is left alone. So no two batches can wait for each other, and nobody waits with a
 * stranger. A statement in the caller's transaction does wait, in a fixed order of keys; whoever closes a circle there is
 * told so by PostgreSQL.
 */
export const makeStoreOrdersOnce = (sql: SqlClient.SqlClient, schema: string) => {
  const { idempotencyKeys, now } = tablesOf(sql, schema)
  const { recording, storing } = makeStoreOrders(sql, schema)

  const take = (
    orders: ReadonlyArray<NewOrder>,
    asked: ReadonlyArray<KeyedOrders>,
    isInTransaction: boolean
  ) => {
    const keyed = asked.flatMap(({ orders, requestId }) => orders.map(({ id }) => ({ id, requestId })))
    const all = keyed.length === 0 ? orders : [...orders, ...asked.flatMap(({ orders }) => orders)]
    const number = sql`hashtextextended(${schema} || ' ' || scope || ' ' || key, 0)`
    // The lock of the caller's transaction answers nothing when it has it, which is not null all the same.
    const isFree = isInTransaction
      ? sql`pg_advisory_xact_lock(${number}) IS NOT NULL`
      : sql`pg_try_advisory_xact_lock(${number})`
    return sql<{ readonly requestId: string }>`
      WITH asked AS MATERIALIZED (
        SELECT * FROM unnest(
          ${texts(asked.map(({ scope }) => scope))}::text[],
          ${texts(asked.map(({ key }) => key))}::text[],
          ${texts(asked.map(({ fingerprint }) => fingerprint))}::text[],
          ${texts(asked.map(({ answer }) => answer))}::text[],
          ${uuids(asked.map(({ requestId }) => requestId))}::uuid[],
          ${milliseconds(asked.map(({ keepFor }) => Duration.toMillis(keepFor)))}::float8[]
        ) AS a (scope, key, fingerprint, answer, taker, keep_ms)
      ), free AS MATERIALIZED (
        SELECT * FROM asked WHERE ${isFree}
      ), taken AS (
        INSERT INTO ${idempotencyKeys} AS kept (scope, key, fingerprint, answer, taker, expires_at)
        SELECT scope, key, fingerprint, answer, taker, ${now} + keep_ms * interval '1 millisecond' FROM free
        ON CONFLICT (scope, key) DO UPDATE SET fingerprint = excluded.fingerprint, answer = excluded.answer,
          taker = excluded.taker, expires_at = excluded.expires_at
        WHERE kept.expires_at <= ${now}
        RETURNING taker
      ), held AS (
        SELECT id FROM unnest(
          ${uuids(keyed.map(({ id }) => id))}::uuid[],
          ${uuids(keyed.map(({ requestId }) => requestId))}::uuid[]
        ) AS h (id, taker)
        WHERE taker NOT IN (SELECT taken.taker FROM taken)
      ), ${storing(all, sql`WHERE id NOT IN (SELECT held.id FROM held)`)}, recorded AS (${recording})
      SELECT taker AS "requestId" FROM taken`
  }

  // An answer that has expired is none: its key is being taken by somebody else.
  const read = (keys: ReadonlyArray<Pick<KeyedOrders, "scope" | "key">>) => sql<KeptRow>`
    SELECT scope, key, fingerprint, answer, taker AS "requestId" FROM ${idempotencyKeys}
    WHERE (scope, key) IN (SELECT * FROM unnest(
      ${texts(keys.map(({ scope }) => scope))}::text[], ${texts(keys.map(({ key }) => key))}::text[]))
    AND expires_at > ${now}`

  const submitOnce = Effect.fnUntraced(function* (
    orders: ReadonlyArray<NewOrder>,
    keyed: ReadonlyArray<KeyedOrders>,
    isInTransaction: boolean
  ) {
    // Of the same key twice the first in arrival takes part, and the others have what it has.
    const first = new Map<string, KeyedOrders>()
    for (const each of keyed) if (!first.has(nameOf(each))) first.set(nameOf(each), each)
    const asked = Array.from(first)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, each]) => each)
    const takers = new Set((yield* take(orders, asked, isInTransaction)).map(({ requestId }) => requestId))
    const kept = new Map<string, StoredAnswer>()
    for (const [name, each] of first) if (takers.has(each.requestId)) kept.set(name, each)
    const others = asked.filter(({ requestId }) => !takers.has(requestId))
    if (others.length > 0) for (const row of yield* read(others)) kept.set(nameOf(row), row)
    return keyed.map((each): StoredAnswer | null => kept.get(nameOf(each)) ?? null)
  })

  const keptAnswer = (key: Pick<KeyedOrders, "scope" | "key">) =>
    Effect.map(read([key]), ([row = null]): StoredAnswer | null => row)

  // By their places: joined by its key, the planner prefers to read the whole table.
  const forgetAnswers = (max: number) => sql`
    DELETE FROM ${idempotencyKeys} WHERE ctid = ANY (ARRAY(
      SELECT ctid FROM ${idempotencyKeys} WHERE expires_at <= ${now}
      ORDER BY expires_at LIMIT ${max} FOR UPDATE SKIP LOCKED
    ))
    RETURNING 1`

  return { forgetAnswers, keptAnswer, submitOnce }
}

// A scope has no line break, so no two pairs have one name.
const nameOf = ({ key, scope }: { readonly scope: string; readonly key: string }) => `${scope}\n${key}`
