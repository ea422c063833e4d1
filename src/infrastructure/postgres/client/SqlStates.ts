/**
 * What an error of PostgreSQL means for a call:
 * - `passes`: the error is transient, and the same statement may succeed later;
 * - `refused`: an operator must change a setting, a right or the tables; this program needs no restart;
 * - `not storable`: the database cannot store a text in the call;
 * - `bug`: the statement is wrong.
 */
type Meaning = "passes" | "refused" | "not storable" | "bug"

/**
 * Every class of SQLSTATE, and the states whose meaning differs from that of their class. Source: PostgreSQL
 * documentation, appendix A.
 */
export const meanings: Readonly<Record<string, Meaning>> = {
  "00": "bug",
  "01": "bug",
  "02": "bug",
  "03": "bug",
  "08": "passes", // connection exception
  "09": "bug",
  "0A": "bug",
  "0B": "bug",
  "0F": "bug",
  "0L": "bug",
  "0P": "bug",
  "0Z": "bug",
  "10": "bug",
  "20": "bug",
  "21": "bug",
  "22": "bug",
  "22021": "not storable", // character not in repertoire
  "22P05": "not storable", // untranslatable character
  "23": "bug",
  "24": "bug",
  "25": "bug",
  "25006": "passes", // read-only transaction, for example a standby after a failover
  "25P03": "passes", // idle in transaction for too long
  "25P04": "passes", // transaction timeout
  "26": "refused", // unknown prepared statement, caused by a pooler
  "27": "bug",
  "28": "refused", // role, password, pg_hba.conf
  "2B": "bug",
  "2D": "bug",
  "2F": "bug",
  "34": "bug",
  "38": "bug",
  "39": "bug",
  "3B": "bug",
  "3D": "refused", // no such database
  "3F": "refused", // no such schema
  "40": "bug",
  "40001": "passes", // serialization failure
  "40003": "passes", // statement completion unknown
  "40P01": "passes", // deadlock
  "42": "bug",
  "42501": "refused", // missing right
  "42703": "refused", // no such column
  "42704": "refused", // no such object
  "42883": "refused", // no such function
  "42P01": "refused", // no such table
  "42P05": "refused", // prepared statement exists, caused by a pooler
  "44": "bug",
  "53": "passes", // insufficient resources, too many connections
  "54": "bug",
  "55": "bug",
  "55000": "refused", // the database accepts no connections
  "55006": "passes", // object in use
  "55P03": "passes", // lock timeout
  "57": "passes", // cancelled, shutdown, crash, starting up
  "58": "refused", // errors of the server's operating system
  "72": "bug",
  F0: "refused", // the server's configuration files
  HV: "bug",
  P0: "bug",
  XX: "bug"
}

/** The meaning of a state. An unknown state, for example of an extension, is a bug. */
export const meaningOf = (state: string): Meaning => meanings[state] ?? meanings[state.slice(0, 2)] ?? "bug"
