import { assert, describe, it } from "@effect/vitest"
import { ConnectionError, SqlError } from "effect/sql/SqlError"
import {
  explained,
  lastingSocketErrors,
  mayPass,
  passingSocketErrors
} from "../../../../src/infrastructure/postgres/client/ConnectErrors.ts"
import { meaningOf, meanings } from "../../../../src/infrastructure/postgres/client/SqlStates.ts"

const classes =
  "00 01 02 03 08 09 0A 0B 0F 0L 0P 0Z 10 20 21 22 23 24 25 26 27 28 2B 2D 2F 34 38 39 3B 3D 3F 40 42 44 53 54 55 57 58 72 F0 HV P0 XX"

/** The errors of connect(2), unix(7), read(2), write(2) and getaddrinfo(3). */
const socketErrors =
  "EACCES EADDRINUSE EADDRNOTAVAIL EAFNOSUPPORT EAGAIN EAI_AGAIN EAI_FAIL ECONNABORTED ECONNREFUSED ECONNRESET EHOSTUNREACH EINVAL ELOOP EMFILE ENAMETOOLONG ENETDOWN ENETUNREACH ENFILE ENOBUFS ENOENT ENOMEM ENOTDIR ENOTFOUND ENOTSOCK EPERM EPIPE EPROTOTYPE ETIMEDOUT"

const errorWith = (properties: object, message = "as the server says it") =>
  new SqlError({
    reason: new ConnectionError({
      cause: Object.assign(new Error(message), properties),
      operation: "connect"
    })
  })

const ofServer = (code: string, message?: string) => errorWith({ severity: "FATAL", code }, message)

describe("an error while connecting", () => {
  it("has one meaning for every class of SQLSTATE", () => {
    for (const each of classes.split(" ")) assert.property(meanings, each)
    for (const state of Object.keys(meanings)) assert.include(classes, state.slice(0, 2))
  })

  it("is waited for if it may pass, and not otherwise", () => {
    for (const state of ["08006", "57P03", "53300", "40001", "25006"])
      assert.isTrue(mayPass(ofServer(state)), state)
    for (const state of ["28P01", "28000", "3D000", "42501", "42704", "55000", "F0000", "XX000", "ZZ999"])
      assert.isFalse(mayPass(ofServer(state)), state)
  })

  it("of a socket is in exactly one list", () => {
    const both = passingSocketErrors.filter((code) => code in lastingSocketErrors)
    assert.deepStrictEqual(both, [])
    for (const code of passingSocketErrors) assert.isTrue(mayPass(errorWith({ code })), code)
    for (const code of Object.keys(lastingSocketErrors)) {
      assert.isFalse(mayPass(errorWith({ code })), code)
      assert.include(explained(errorWith({ code })), "; see ")
    }
    for (const code of socketErrors.split(" "))
      assert.isTrue(
        passingSocketErrors.some((passing) => passing === code) || code in lastingSocketErrors,
        code
      )
  })

  it("has the server's message, its SQLSTATE and the setting to change", () => {
    for (const [error, sentence] of [
      [
        ofServer("08P01", "unsupported startup parameter: statement_timeout"),
        "unsupported startup parameter: statement_timeout (SQLSTATE 08P01); behind a pooler, set database.prepare (DATABASE_PREPARE) to false"
      ],
      [
        ofServer("28P01", 'password authentication failed for user "ann"'),
        'password authentication failed for user "ann" (SQLSTATE 28P01); see the user and the password in database.url'
      ],
      [
        ofServer("28000", 'no pg_hba.conf entry for host "::1", user "ann", database "shop", no encryption'),
        'no pg_hba.conf entry for host "::1", user "ann", database "shop", no encryption (SQLSTATE 28000); set sslmode=require in database.url'
      ],
      [
        errorWith({ code: "DEPTH_ZERO_SELF_SIGNED_CERT" }, "self-signed certificate"),
        "self-signed certificate; see sslmode and sslrootcert in database.url"
      ],
      [
        errorWith({}, "The server does not support TLS"),
        "The server does not support TLS; set ssl = on at the server, or sslmode=disable in database.url"
      ]
    ] as const) {
      assert.isFalse(mayPass(error))
      assert.strictEqual(explained(error), sentence)
    }
  })

  it("of a pooler whose server is unavailable may pass, although its SQLSTATE means a refusal", () => {
    assert.isTrue(
      mayPass(ofServer("08P01", "server login has been failing, try again later (server_login_retry)"))
    )
    assert.isFalse(mayPass(ofServer("08P01", "no such user: ann")))
  })

  it("distinguishes text that cannot be stored from our own bugs", () => {
    assert.deepStrictEqual(["22P05", "22021", "22012", "42601"].map(meaningOf), [
      "not storable",
      "not storable",
      "bug",
      "bug"
    ])
  })
})
