import { assert, describe, it } from "@effect/vitest"
import { Duration, Redacted, Result, Schema } from "effect"
import { parseDatabaseUrl } from "../../../../src/infrastructure/postgres/client/DatabaseUrl.ts"
import { parameters } from "../../../../src/infrastructure/postgres/client/DatabaseUrlParameters.ts"

const plain = { host: "db", port: 5432, database: "shop", tls: null, shown: "db/shop" }

/** A URL and its parsed form. */
const honoured: ReadonlyArray<readonly [string, object]> = [
  ["postgres://db/shop", plain],
  ["postgresql://db/shop?", plain],
  ["postgres://db:6000/shop", { ...plain, port: 6000, shown: "db:6000/shop" }],
  ["postgres://ann@db/Shop", { ...plain, user: "ann", database: "Shop", shown: "db/Shop" }],
  ["postgres://db/a%20b%2Fc", { ...plain, database: "a b/c", shown: "db/a b/c" }],
  ["postgres://[::1]:6000/shop", { ...plain, host: "::1", port: 6000, shown: "[::1]:6000/shop" }],
  ["postgres:///shop?host=/var/run", { ...plain, host: "/var/run", shown: "/var/run/shop" }],
  ["postgres://%2Fvar%2Frun/shop", { ...plain, host: "/var/run", shown: "/var/run/shop" }],
  ["postgres:///shop", { ...plain, host: "localhost", shown: "localhost/shop" }],
  ["postgres://?host=db&port=6000&dbname=shop", { ...plain, port: 6000, shown: "db:6000/shop" }],
  ["postgres://db/shop?hostaddr=10.0.0.1", { ...plain, address: "10.0.0.1" }],
  ["postgres://db/shop?application_name=a+b", { ...plain, applicationName: "a+b" }],
  ["postgres://db/shop?options=-c%20jit%3Doff", { ...plain, options: "-c jit=off" }],
  ["postgres://db/shop?connect_timeout=3", { ...plain, connectTimeout: Duration.seconds(3) }],
  ["postgres://db/shop?keepalives_idle=3", { ...plain, keepAlive: Duration.seconds(3) }],
  ["postgres://db/shop?target_session_attrs=read-write", plain],
  ["postgres://db/shop?channel_binding=prefer&gssencmode=prefer", plain],
  ["postgres://db/shop?sslmode=disable", plain],
  ["postgres://db/shop?sslmode=require", { ...plain, tls: { verify: "none" } }],
  ["postgres://db/shop?ssl=true", { ...plain, tls: { verify: "none" } }],
  ["postgres://db/shop?ssl=true&sslmode=verify-full", { ...plain, tls: { verify: "issuer and name" } }],
  ["postgres://db/shop?sslmode=verify-ca", { ...plain, tls: { verify: "issuer" } }],
  [
    "postgres://db/shop?sslmode=require&sslrootcert=/ca",
    { ...plain, tls: { verify: "issuer", rootCertificate: "/ca" } }
  ],
  [
    "postgres://db/shop?sslrootcert=system",
    { ...plain, tls: { verify: "issuer and name", rootCertificate: "system" } }
  ],
  [
    "postgres://db/shop?sslmode=verify-full&sslcert=/c&sslkey=/k&ssl_min_protocol_version=TLSv1.3",
    { ...plain, tls: { verify: "issuer and name", certificate: "/c", key: "/k", minVersion: "TLSv1.3" } }
  ]
]

/** A URL and the end of the sentence that refuses it. */
const refused: ReadonlyArray<readonly [string, string]> = [
  ["mysql://db/shop", "is not a URL like postgres://user:password@host:5432/name"],
  ["postgres://a:1,b:2/shop", "names several hosts: name one address that leads to the primary"],
  ["postgres://db:0/shop", "has the port 0: it must be from 1 to 65535"],
  ["postgres://db/%FF", "has invalid percent-encoding"],
  ["postgres://db/a%00b", "has invalid percent-encoding"],
  [
    "postgres://db/shop?sslmode=bogus",
    "has sslmode=bogus: sslmode must be one of disable, require, verify-ca, verify-full (prefer and allow would fall back to plain text unnoticed)"
  ],
  ["postgres://db/shop?SSLMODE=require", "has the parameter SSLMODE, which is unknown"],
  ["postgres://db/shop?toString=1", "has the parameter toString, which is unknown"],
  [
    "postgres://db/shop?ssl=true&sslmode=disable",
    "has ssl=true and sslmode=disable, which contradict each other"
  ],
  [
    "postgres://db/shop?sslrootcert=/ca",
    "has parameters for TLS, but TLS is off: add sslmode=require, verify-ca or verify-full"
  ],
  [
    "postgres:///shop?host=/run&sslmode=require",
    "asks for TLS on a Unix socket, which has none: leave sslmode and ssl out"
  ],
  [
    "postgres://db/shop?channel_binding=require",
    "has channel_binding=require: channel_binding must be prefer or disable, because channel binding is not supported"
  ],
  [
    "postgres://db/shop?target_session_attrs=standby",
    "has target_session_attrs=standby: target_session_attrs must be any, read-write or primary, because orders have to be written"
  ],
  [
    "postgres://db/shop?sslmode=require&sslcert=/c",
    "has one of sslcert and sslkey: a client certificate needs both"
  ]
]

const texts = Schema.String.check(
  Schema.isMinLength(1),
  Schema.isMaxLength(20),
  Schema.isPattern(/^[^\0\ud800-\udfff]+$/)
)

describe("the URL of a database", () => {
  for (const [url, expected] of honoured)
    it(`${url} is honoured`, () => {
      assert.deepEqual(Result.getOrThrow(parseDatabaseUrl(url)), expected as never)
    })

  for (const [url, reason] of refused)
    it(`${url} is refused with a reason`, () => {
      assert.deepStrictEqual(parseDatabaseUrl(url), Result.fail(reason))
    })

  it.prop(
    "decodes percent-encoded user, password and database",
    { user: texts, password: texts, database: texts },
    ({ database, password, user }) => {
      const [u, p, d] = [user, password, database].map(encodeURIComponent)
      const address = Result.getOrThrow(parseDatabaseUrl(`postgres://${u}:${p}@db/${d}`))
      const given = Redacted.value(address.password ?? Redacted.make(""))
      assert.deepStrictEqual([address.user, given, address.database], [user, password, database])
    }
  )

  it.prop(
    "has TLS or is refused if a parameter asks for TLS",
    {
      name: Schema.Literals(Object.keys(parameters)),
      value: texts,
      mode: Schema.Literals(["require", "verify-ca", "verify-full"])
    },
    ({ mode, name, value }) => {
      for (const url of [
        `postgres://db/shop?sslmode=${mode}&${name}=${encodeURIComponent(value)}`,
        `postgres://db/shop?${name}=${encodeURIComponent(value)}&sslmode=${mode}`
      ]) {
        const parsed = parseDatabaseUrl(url)
        assert.isTrue(Result.isFailure(parsed) || parsed.success.tls !== null)
      }
    }
  )

  it.prop("never shows a secret", { password: texts }, ({ password }) => {
    const secret = `hunter2 ${password}`
    const address = Result.getOrThrow(
      parseDatabaseUrl(`postgres://ann:${encodeURIComponent(secret)}@db/shop`)
    )
    assert.strictEqual(address.shown, "db/shop")
    for (const name of ["password", "sslpassword"]) {
      const parsed = parseDatabaseUrl(`postgres://db/shop?${name}=${encodeURIComponent(secret)}&bogus=1`)
      assert.isTrue(Result.isFailure(parsed) && !parsed.failure.includes("hunter2"))
    }
  })
})
