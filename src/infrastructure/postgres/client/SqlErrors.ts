import { Predicate } from "effect"
import type { SqlError } from "effect/sql"
import { meaningOf } from "./SqlStates.ts"

/** The SQLSTATE, where it is PostgreSQL or a pooler that reports the error; undefined for errors of sockets and of the client. */
export const sqlStateOf = ({ reason: { cause } }: SqlError.SqlError): string | undefined =>
  Predicate.hasProperty(cause, "severity") &&
  Predicate.hasProperty(cause, "code") &&
  Predicate.isString(cause.code)
    ? cause.code
    : undefined

/** Whether the same statement may succeed if it is repeated later: trouble of the database, not of the statement. */
export const isTransient = (error: SqlError.SqlError): boolean => {
  const state = sqlStateOf(error)
  return state === undefined ? error.reason._tag === "ConnectionError" : meaningOf(state) === "passes"
}

/** What the database or the system says; Effect's own message is only that the query failed. */
export const messageOf = ({ reason: { cause, message = "" } }: SqlError.SqlError): string => {
  // A name with several addresses fails with the errors of all of them, in one that has no message.
  if (cause instanceof AggregateError)
    return cause.errors.map((error) => (error instanceof Error ? error.message : String(error))).join(", ")
  return Predicate.hasProperty(cause, "message") && Predicate.isString(cause.message)
    ? cause.message
    : message
}
