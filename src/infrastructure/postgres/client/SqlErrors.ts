import { Predicate } from "effect"
import type { SqlError } from "effect/sql"
import { meaningOf } from "./SqlStates.ts"

/** The SQLSTATE of an error from PostgreSQL or a pooler; undefined for errors of sockets and of the client. */
export const sqlStateOf = ({ reason: { cause } }: SqlError.SqlError): string | undefined =>
  Predicate.hasProperty(cause, "severity") &&
  Predicate.hasProperty(cause, "code") &&
  Predicate.isString(cause.code)
    ? cause.code
    : undefined

/** Whether the same statement may succeed if it is repeated later. */
export const isTransient = (error: SqlError.SqlError): boolean => {
  const state = sqlStateOf(error)
  return state === undefined ? error.reason._tag === "ConnectionError" : meaningOf(state) === "passes"
}

/** The message of the database or the operating system. Effect's own message is only that the query failed. */
export const messageOf = ({ reason: { cause, message = "" } }: SqlError.SqlError): string => {
  // If a host name has several addresses, the error contains the errors of all of them and has no message itself.
  if (cause instanceof AggregateError)
    return cause.errors.map((error) => (error instanceof Error ? error.message : String(error))).join(", ")
  return Predicate.hasProperty(cause, "message") && Predicate.isString(cause.message)
    ? cause.message
    : message
}
