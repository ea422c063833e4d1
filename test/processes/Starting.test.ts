import { assert, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { SqlClient } from "effect/sql"
import { randomUUID } from "node:crypto"
import { readFile } from "node:fs/promises"
import { connect } from "node:net"
import { describe } from "vitest"
import packageJson from "../../package.json" with { type: "json" }
import { startProxy } from "../../chaos/Proxy.ts"
import { DatabaseSchema } from "../../src/infrastructure/postgres/client/DatabaseSchema.ts"
import { databaseUrl } from "../TestPostgres.ts"
import { freePort } from "../examples/ExampleProcess.ts"
import { call, eventually, withOwnSchema, run, start } from "./OrderPlatformProcess.ts"

/** The database URL of the test run with a change. */
const databaseWith = (change: (url: URL) => void): string => {
  const url = new URL(databaseUrl())
  change(url)
  return url.href
}

/** Runs the program until it exits. */
const ended = (options: Parameters<typeof run>[0]) =>
  Effect.gen(function* () {
    const process = yield* run(options)
    const { code } = yield* process.exit
    return { code, stdout: process.stdout(), stderr: process.stderr() }
  })

/** The answer of /health/live on a new connection; null if the connection is refused. */
const liveness = (port: number) =>
  Effect.callback<string | null>((resume) => {
    let answer: string | null = null
    const socket = connect(port, "127.0.0.1", () => {
      answer = ""
      socket.write("GET /health/live HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
    })
    socket.on("data", (chunk) => void (answer = `${answer ?? ""}${String(chunk)}`))
    socket.on("error", () => undefined)
    socket.on("close", () => resume(Effect.succeed(answer)))
    return Effect.sync(() => socket.destroy())
  }).pipe(Effect.timeoutOrElse({ duration: "30 seconds", orElse: () => Effect.succeed("no answer") }))

/** The database of the test run behind a proxy that refuses every connection until `heal`. */
const unreachableDatabase = Effect.gen(function* () {
  const target = new URL(databaseUrl())
  const { heal, port, refuse } = yield* Effect.acquireRelease(
    Effect.promise(() => startProxy(Number(target.port || 5432), target.hostname)),
    (proxy) => Effect.promise(proxy.close)
  )
  refuse()
  const url = databaseWith((url) => {
    url.hostname = "127.0.0.1"
    url.port = String(port)
  })
  return { heal, url }
})

const onAnyPort = { SERVER_PORT: 0, LOG_FORMAT: "json", DATABASE_URL: databaseUrl() }

describe("the start of a process", { concurrent: true }, () => {
  for (const [what, options, sentence] of [
    [
      "a wrong setting",
      { environment: { ...onAnyPort, ORDER_WORKER_CONCURRENCY: "many" } },
      `order.worker.concurrency (ORDER_WORKER_CONCURRENCY) is "many": it must be a whole number from 1 to 10000.`
    ],
    [
      "a host reachable by others, without keys,",
      { environment: { ...onAnyPort, SERVER_HOST: "0.0.0.0" } },
      `server.host (SERVER_HOST) is "0.0.0.0": without authentication (auth.clientKeys, auth.operatorKeys) it must be a loopback address (127.0.0.0/8, ::1 or localhost), unless auth.disabled (AUTH_DISABLED) is true.`
    ],
    [
      "an unknown key in its file",
      { environment: onAnyPort, files: { "application.yaml": "order:\n  worker:\n    maxRetrys: 3\n" } },
      "order.worker.maxRetrys (application.yaml:3:5) is not a known setting; did you mean order.worker.maxRetries?"
    ]
  ] as const) {
    it.live(`stops with one sentence on ${what}`, () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* ended(options), { code: 1, stdout: "", stderr: `${sentence}\n` })
      }).pipe(Effect.scoped)
    )
  }

  it.live("stops with one sentence on a database that refuses, naming it and the reason", () =>
    Effect.gen(function* () {
      const name = "order_platform_nowhere"
      const url = databaseWith((url) => {
        url.pathname = name
        if (url.password === "") url.password = "not-for-everybody"
      })
      const { code, stderr, stdout } = yield* ended({ environment: { ...onAnyPort, DATABASE_URL: url } })
      assert.deepStrictEqual([code, stdout], [1, ""])
      assert.match(stderr, /^[^\n]+\.\n$/, "one sentence")
      assert.include(stderr, `${new URL(url).host}/${name}`)
      assert.include(stderr, `database "${name}" does not exist`)
      assert.notInclude(stderr, new URL(url).password)
    }).pipe(Effect.scoped)
  )

  it.live("logs one line that says what runs where, without the password", () =>
    Effect.gen(function* () {
      const given = new URL(databaseUrl())
      if (given.password === "") given.password = "not-for-everybody"
      const server = yield* start({
        DATABASE_URL: given.href,
        ORDER_WORKER_CONCURRENCY: 7,
        ORDER_WORKER_FAILURE_PROBABILITY: 0.25,
        INTAKE_MAX_BODY_BYTES: 1024,
        SERVER_REQUEST_TIMEOUT_MS: 300
      })
      const { port } = new URL(server.url)

      const posted = (init: RequestInit) =>
        Effect.map(
          call(`${server.url}/orders`, {
            method: "POST",
            headers: { "content-type": "application/json" },
            ...init
          }),
          ({ status }) => status
        )
      const orderOf = (bytes: number) => {
        const around = JSON.stringify({ payload: { text: "" } }).length
        return JSON.stringify({ payload: { text: "x".repeat(bytes - around) } })
      }
      assert.strictEqual(yield* posted({ body: orderOf(1024) }), 202)
      assert.strictEqual(yield* posted({ body: orderOf(1025) }), 413)

      const sql = yield* SqlClient.SqlClient
      const schema = yield* DatabaseSchema
      const unanswered = Effect.andThen(
        sql`LOCK TABLE ${sql(`${schema}.orders`)} IN ACCESS EXCLUSIVE MODE`,
        call(`${server.url}/orders/${randomUUID()}`)
      )
      const requestedAt = Date.now()
      assert.strictEqual((yield* sql.withTransaction(unanswered)).status, 503)
      assert.isAtLeast(Date.now() - requestedAt, 300)
      assert.isBelow(Date.now() - requestedAt, 5000)

      const taken = yield* ended({
        environment: { ...onAnyPort, DATABASE_URL: given.href, SERVER_PORT: port }
      })
      assert.deepStrictEqual(taken, {
        code: 1,
        stdout: "",
        stderr: `Cannot listen on 127.0.0.1:${port}: the port is in use by another process; choose another with server.port (SERVER_PORT).\n`
      })

      const lines = server.stdout().split("\n")
      const line = lines.find((line) => line.includes("serves on")) ?? ""
      const parts = (JSON.parse(line) as { readonly message: string }).message.split("; ")
      for (const what of [
        `order-platform serves on ${server.url}`,
        `database: ${given.host}${given.pathname}`,
        "queue: memory",
        "worker concurrency: 7",
        "simulated failures: 0.25"
      ]) {
        assert.include(parts, what)
      }
      assert.notInclude(server.stdout() + server.stderr(), given.password)
    }).pipe(withOwnSchema)
  )

  it.live.runIf(process.platform === "linux")(
    "adds its heap options within the same process, unless the operator sets options",
    () =>
      Effect.gen(function* () {
        const optionsOf = Effect.fnUntraced(function* (environment: Record<string, string>) {
          const { pid } = yield* start(environment, { nodeOptions: [] })
          const command = yield* Effect.promise(() => readFile(`/proc/${pid}/cmdline`, "utf8"))
          return command.split("\0").filter((part) => part.startsWith("--"))
        })
        const [ours, theirs] = yield* Effect.all(
          [optionsOf({}), optionsOf({ NODE_OPTIONS: "--max_semi_space_size=8" })],
          { concurrency: 2 }
        )
        assert.deepStrictEqual(ours, ["--max-semi-space-size=16"])
        assert.deepStrictEqual(theirs, [])
      }).pipe(withOwnSchema)
  )

  it.live("answers every request on every accepted connection, from the first one on", () =>
    Effect.gen(function* () {
      const port = yield* Effect.promise(freePort)
      const answers: Array<string> = []
      const request = Effect.flatMap(liveness(port), (answer) =>
        answer === null
          ? Effect.sleep("1 millis")
          : Effect.sync(() => void answers.push(answer.split("\r\n", 1)[0] ?? ""))
      )
      const requests = yield* Effect.forkChild(
        Effect.all(
          Array.from({ length: 8 }, () => Effect.forever(request)),
          { concurrency: 8 }
        )
      )
      yield* start({ SERVER_PORT: port })
      yield* eventually(
        "some requests were answered, or one was not",
        Effect.sync(() => (answers.length >= 20 || answers.includes("no answer") ? true : undefined))
      )
      yield* Fiber.interrupt(requests)
      assert.deepStrictEqual([...new Set(answers)], ["HTTP/1.1 200 OK"])
    }).pipe(withOwnSchema)
  )

  it.live("listens at once, says that it waits for its database, and serves once that answers", () =>
    Effect.gen(function* () {
      const port = yield* Effect.promise(freePort)
      const database = yield* unreachableDatabase
      const DATABASE_SCHEMA = yield* DatabaseSchema
      const process = yield* run({
        environment: { ...onAnyPort, SERVER_PORT: port, DATABASE_SCHEMA, DATABASE_URL: database.url }
      })
      yield* eventually(
        "it is alive",
        Effect.map(liveness(port), (answer) => (answer?.startsWith("HTTP/1.1 200 OK") ? true : undefined))
      )
      const url = `http://127.0.0.1:${port}`
      const post = { method: "POST" }
      for (const [path, init] of [
        ["/health/ready", {}],
        ["/orders", post]
      ] as const) {
        const { headers, json, status } = yield* call(`${url}${path}`, init)
        assert.deepStrictEqual([status, headers.get("retry-after")], [503, "1"])
        assert.deepInclude(json, {
          type: "urn:order-platform:unavailable",
          detail: "The process is starting and waits for its database."
        })
      }
      assert.include(process.stdout(), "does not answer yet: ")
      assert.notInclude(process.stdout(), "serves on")
      database.heal()
      yield* eventually(
        "it serves",
        Effect.sync(() => (process.stdout().includes("serves on") ? true : undefined))
      )
      assert.strictEqual((yield* call(`${url}/health/ready`)).status, 200)
      assert.strictEqual((yield* call(`${url}/orders`, post)).status, 202)
    }).pipe(withOwnSchema)
  )

  it.live("can be stopped while it waits for its database", () =>
    Effect.gen(function* () {
      const port = yield* Effect.promise(freePort)
      const { url } = yield* unreachableDatabase
      const process = yield* run({ environment: { ...onAnyPort, SERVER_PORT: port, DATABASE_URL: url } })
      yield* eventually(
        "it waits",
        Effect.sync(() => (process.stdout().includes("waiting for it") ? true : undefined))
      )
      // A request is waiting for an answer.
      const requests = yield* Effect.forkChild(call(`http://127.0.0.1:${port}/health/ready`))
      yield* Effect.sleep("100 millis")
      process.kill("SIGTERM")
      assert.deepInclude(yield* Effect.timeout(process.exit, "10 seconds"), { code: 0 })
      assert.strictEqual((yield* Fiber.join(requests)).status, 503)
    })
  )

  it.live("prints --help and --version and exits", () =>
    Effect.gen(function* () {
      const [root, serve, version] = yield* Effect.all(
        [
          ended({ arguments: ["--help"] }),
          ended({ arguments: ["serve", "--help"] }),
          ended({ arguments: ["--version"] })
        ],
        { concurrency: 2 }
      )
      for (const { code, stderr } of [root, serve, version]) assert.deepStrictEqual([code, stderr], [0, ""])
      for (const word of ["order-platform", "SUBCOMMANDS", "serve", "--config"])
        assert.include(root.stdout, word)
      for (const word of ["order-platform serve", "--config"]) assert.include(serve.stdout, word)
      assert.include(version.stdout, packageJson.version)
    }).pipe(Effect.scoped)
  )
})
