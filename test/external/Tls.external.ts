import { assert, describe, it } from "@effect/vitest"
import { Context, Duration, Effect, Exit, Layer, Redacted } from "effect"
import { SqlClient } from "effect/sql"
import { execFile } from "node:child_process"
import { chmod, chown, stat, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { promisify } from "node:util"
import * as Postgres from "../../src/infrastructure/postgres/Postgres.ts"
import { directory, ownServer } from "./OwnServer.ts"

const run = promisify(execFile)

/** Creates an authority and its certificate for localhost: `ca.pem`, `server.pem` and `server.key`. */
const certificates = Effect.gen(function* () {
  const path = yield* directory
  yield* Effect.promise(async () => {
    const openssl = (command: string) => run("openssl", command.split(" "), { cwd: path })
    const key = "-newkey rsa:2048 -nodes -days 2"
    await openssl(`req -x509 ${key} -subj /CN=authority -keyout ca.key -out ca.pem`)
    await openssl(`req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout server.key -out server.csr`)
    await writeFile(join(path, "names"), "subjectAltName=DNS:localhost\n")
    await openssl(
      "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out server.pem"
    )
    await openssl(`req -x509 ${key} -subj /CN=stranger -keyout other.key -out other.pem`)
  })
  return path
})

const serverWithTls = Effect.gen(function* () {
  const files = yield* certificates
  const server = yield* ownServer({
    settings: {
      ssl: "on",
      ssl_cert_file: join(files, "server.pem"),
      ssl_key_file: join(files, "server.key")
    },
    prepare: async (data) => {
      const { gid, uid } = await stat(data)
      await chown(join(files, "server.key"), uid, gid)
      await chmod(join(files, "server.key"), 0o600)
    }
  })
  return { ...server, files }
})

/** Whether a connection by this URL is encrypted, or the sentence of its refusal. */
const connectedBy = Effect.fnUntraced(function* (url: string) {
  const client = Postgres.layerClient({
    url: Redacted.make(url),
    maxConnections: 2,
    prepare: true,
    acquireTimeout: Duration.seconds(5),
    statementTimeout: Duration.seconds(15)
  })
  const exit = yield* Effect.exit(
    Effect.scoped(
      Effect.gen(function* () {
        const context = yield* Layer.build(Layer.fresh(client))
        const sql = Context.get(context, SqlClient.SqlClient)
        const [row] = yield* sql<{ readonly ssl: boolean }>`
          SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()`
        return row?.ssl === true ? "encrypted" : "plain"
      })
    )
  )
  return Exit.isSuccess(exit)
    ? exit.value
    : (String(exit.cause).match(/(database\.url|The database)[^\n]*?\.(?=\)|$)/m)?.[0] ?? String(exit.cause))
})

describe("TLS", { timeout: 60_000 }, () => {
  it.live("is used when the URL asks for it, with the certificates that the URL names", () =>
    Effect.gen(function* () {
      const { files, port } = yield* serverWithTls
      const by = (parameters: string, host = "localhost") =>
        connectedBy(`postgres://postgres@${host}:${port}/postgres?hostaddr=127.0.0.1&${parameters}`)
      const root = `sslrootcert=${files}/ca.pem`
      for (const [parameters, outcome] of [
        ["sslmode=disable", "plain"],
        ["sslmode=require", "encrypted"],
        ["ssl=true", "encrypted"],
        [`sslmode=verify-ca&${root}`, "encrypted"],
        [`sslmode=verify-full&${root}`, "encrypted"],
        [`sslmode=verify-full&${root}&ssl_min_protocol_version=TLSv1.3`, "encrypted"]
      ] as const)
        assert.strictEqual(yield* by(parameters), outcome, parameters)
      assert.strictEqual(yield* by(`sslmode=verify-ca&${root}`, "elsewhere"), "encrypted")
      for (const [parameters, host, reason] of [
        ["sslmode=verify-full", "localhost", /self-signed certificate|unable to verify/],
        [`sslmode=verify-full&sslrootcert=${files}/other.pem`, "localhost", /unable to verify|self-signed/],
        [`sslmode=require&sslrootcert=${files}/other.pem`, "localhost", /unable to verify|self-signed/],
        [`sslmode=verify-full&${root}`, "elsewhere", /does not match certificate/],
        [
          "sslmode=verify-full&sslrootcert=/nowhere.pem",
          "localhost",
          /has sslrootcert with a file that cannot be read/
        ]
      ] as const) {
        const refused = yield* by(parameters, host)
        assert.match(refused, reason)
        assert.match(refused, /sslrootcert/)
      }
    }).pipe(Effect.scoped)
  )

  it.live("ends the start if the URL asks for it and the server has none", () =>
    Effect.gen(function* () {
      const { url } = yield* ownServer()
      for (const parameters of ["sslmode=require", "ssl=true", "sslmode=verify-full"])
        assert.match(
          yield* connectedBy(`${url}?${parameters}`),
          /The server does not support TLS; set ssl = on at the server, or sslmode=disable in database\.url\.$/
        )
    }).pipe(Effect.scoped)
  )

  it.live("ends the start if the server requires it and the URL does not ask for it", () =>
    Effect.gen(function* () {
      const { files, url } = yield* serverWithTls
      const demanding = yield* ownServer({
        settings: {
          ssl: "on",
          ssl_cert_file: join(files, "server.pem"),
          ssl_key_file: join(files, "server.key")
        },
        prepare: (data) => writeFile(join(data, "pg_hba.conf"), "hostssl all all 127.0.0.1/32 trust\n")
      }).pipe(Effect.exit)
      assert.isTrue(Exit.isSuccess(demanding))
      if (Exit.isFailure(demanding)) return
      assert.match(
        yield* connectedBy(demanding.value.url),
        /SQLSTATE 28000\); set sslmode=require in database\.url\.$/
      )
      assert.strictEqual(yield* connectedBy(`${demanding.value.url}?sslmode=require`), "encrypted")
      assert.strictEqual(yield* connectedBy(url), "plain")
    }).pipe(Effect.scoped)
  )
})
