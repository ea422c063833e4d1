import { Predicate } from "effect"
import type { SqlError } from "effect/sql"
import { messageOf, sqlStateOf } from "./SqlErrors.ts"
import { meaningOf } from "./SqlStates.ts"

/** Transient errors of sockets and name resolution: the server, the network or the name is not available yet. */
export const passingSocketErrors = [
  "EADDRINUSE",
  "EADDRNOTAVAIL",
  "EAGAIN",
  "EAI_AGAIN",
  "EAI_FAIL",
  "ECONNABORTED",
  "ECONNREFUSED",
  "ECONNRESET",
  "EHOSTDOWN",
  "EHOSTUNREACH",
  "EMFILE",
  "ENETDOWN",
  "ENETUNREACH",
  "ENFILE",
  "ENOBUFS",
  "ENODATA",
  "ENOENT", // the socket of a server that has not started yet
  "ENOMEM",
  "ENOTFOUND",
  "EPIPE",
  "ETIMEDOUT"
] as const

/** Permanent errors of sockets and of TLS, and what to check. */
export const lastingSocketErrors: Readonly<Record<string, string>> = {
  EACCES: "see the rights on the socket that database.url names",
  EAFNOSUPPORT: "see the host in database.url",
  EINVAL: "see the host in database.url",
  ELOOP: "see the socket directory in database.url",
  ENAMETOOLONG: "see the socket directory in database.url",
  ENOTDIR: "see the socket directory in database.url",
  ENOTSOCK: "see the socket directory in database.url",
  EPERM: "see the rights on the socket that database.url names",
  EPROTOTYPE: "see the socket directory in database.url",
  EPROTO: "see sslmode in database.url"
}

const certificateErrors =
  /^(CERT_|CRL_|DEPTH_ZERO_|ERR_OSSL|ERR_SSL|ERR_TLS|ERROR_IN_|HOSTNAME_MISMATCH|INVALID_|PATH_LENGTH|SELF_SIGNED|UNABLE_TO_)/

/** Transient errors of sql-pg that have no code. */
const passingMessages = ["Connection timed out", "Connection closed unexpectedly", "Connection closed"]

// A pooler uses one SQLSTATE for all errors, also for transient ones, for example while the server behind it restarts.
const lastingPoolerMessages =
  /unsupported (startup parameter|pkt header|protocol)|no such (database|user)|auth(entication)? failed|SSL required|not allowed/i

const remedies: Readonly<Record<string, string>> = {
  "22023": "see options in database.url",
  "26000": "behind a pooler, set database.prepare (DATABASE_PREPARE) to false",
  "28000": "see the role, sslmode and pg_hba.conf",
  "28P01": "see the user and the password in database.url",
  "3D000": "create the database, or name another one in database.url",
  "3F000": "run order-platform migrate",
  "42501": "have the owner grant the missing right to the role",
  "42601": "see options in database.url",
  "42704": "see options in database.url",
  "42P01": "run order-platform migrate",
  "42P05": "behind a pooler, set database.prepare (DATABASE_PREPARE) to false",
  "53300": "close other connections, lower database.maxConnections, or raise max_connections of the server",
  "55000": "allow connections to this database"
}

const codeOf = (error: SqlError.SqlError): string | undefined => {
  const { cause } = error.reason
  return Predicate.hasProperty(cause, "code") && Predicate.isString(cause.code) ? cause.code : undefined
}

/** Whether the error is transient, so that a start waits for the database. */
export const mayPass = (error: SqlError.SqlError): boolean => {
  const state = sqlStateOf(error)
  if (state === "08P01") return !lastingPoolerMessages.test(messageOf(error))
  if (state !== undefined) return meaningOf(state) === "passes"
  if (error.reason._tag !== "ConnectionError") return false
  const code = codeOf(error)
  if (code !== undefined) return passingSocketErrors.some((passing) => passing === code)
  return passingMessages.includes(messageOf(error))
}

/** What to change; null if the server's own message is all that is known. */
const remedyOf = (error: SqlError.SqlError): string | null => {
  const message = messageOf(error)
  const state = sqlStateOf(error)
  if (/unsupported startup parameter: options/.test(message))
    return "leave options out of database.url behind a pooler"
  if (/unsupported startup parameter/.test(message))
    return "behind a pooler, set database.prepare (DATABASE_PREPARE) to false"
  if (/no encryption|SSL off|SSL required/i.test(message)) return "set sslmode=require in database.url"
  if (/does not support TLS/.test(message))
    return "set ssl = on at the server, or sslmode=disable in database.url"
  if (
    /No password configured|requested password/.test(message) ||
    error.reason._tag === "AuthenticationError"
  )
    return remedies[state ?? "28P01"] ?? "see the user and the password in database.url"
  if (state !== undefined) return remedies[state] ?? null
  const code = codeOf(error) ?? ""
  if (certificateErrors.test(code)) return "see sslmode and sslrootcert in database.url"
  return lastingSocketErrors[code] ?? null
}

/** The message of the database, its SQLSTATE, and what to change. */
export const explained = (error: SqlError.SqlError): string => {
  const state = sqlStateOf(error)
  const remedy = remedyOf(error)
  const text = messageOf(error)
    .replace(/\s*\n\s*/g, ", ")
    .replace(/\.$/, "")
  return `${text}${state === undefined ? "" : ` (SQLSTATE ${state})`}${remedy === null ? "" : `; ${remedy}`}`
}
