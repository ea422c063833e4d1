import { PgTypes } from "@effect/sql-pg"
import { Result } from "effect"

// A batch is passed as one array parameter per column, so that the statement is the same for one row and for 256 and is
// prepared once. Each array has an explicit type, because none can be inferred from nulls.
const column =
  <A>(oid: number) =>
  (values: ReadonlyArray<A | null>): PgTypes.Parameter =>
    Result.getOrThrow(PgTypes.array(values, oid))

export const uuids = column<string>(PgTypes.OID.uuid)
export const texts = column<string>(PgTypes.OID.text)
export const integers = column<number>(PgTypes.OID.int4)
export const milliseconds = column<number>(PgTypes.OID.float8)
export const timestamps = column<Date>(PgTypes.OID.timestamptz)
/** JSON documents are passed as text; the statement casts them. */
export const documents = (values: ReadonlyArray<unknown>): PgTypes.Parameter =>
  texts(values.map((value) => JSON.stringify(value)))
