import { PgTypes } from "@effect/sql-pg"
import { Result } from "effect"

// One array parameter a column is how a batch travels: the statement stays the same for one row and for 256, and
// so is prepared once. An array of nulls only has no type to infer, so each is typed here.
const column =
  <A>(oid: number) =>
  (values: ReadonlyArray<A | null>): PgTypes.Parameter =>
    Result.getOrThrow(PgTypes.array(values, oid))

export const uuids = column<string>(PgTypes.OID.uuid)
export const texts = column<string>(PgTypes.OID.text)
export const integers = column<number>(PgTypes.OID.int4)
export const milliseconds = column<number>(PgTypes.OID.float8)
export const timestamps = column<Date>(PgTypes.OID.timestamptz)
/** JSON documents travel as text: the statement casts them. */
export const documents = (values: ReadonlyArray<unknown>): PgTypes.Parameter =>
  texts(values.map((value) => JSON.stringify(value)))
