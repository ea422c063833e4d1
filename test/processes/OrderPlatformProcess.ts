import { Deferred, type Duration, Effect } from "effect"
import { SqlClient } from "effect/sql"
import { spawn } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs/promises"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { isDeepStrictEqual } from "node:util"
import { DatabaseSchema } from "../../src/infrastructure/postgres/client/DatabaseSchema.ts"
import { compileCache, databaseUrl, ownSchema, programs } from "../TestPostgres.ts"

// Runs the real program as an operator starts it. Tests reach it only by its environment, signals, output and HTTP.

/** How a process ended, and when: milliseconds since the epoch. */
export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly at: number
}

/** A process, from its start to the end of its scope. */
export interface Process {
  readonly pid?: number
  readonly stdout: () => string
  readonly stderr: () => string
  readonly kill: (signal: NodeJS.Signals) => void
  readonly exit: Effect.Effect<Ended>
}

/** A process that accepts requests. */
export interface Serving extends Process {
  /** Its address, as the start line names it. */
  readonly url: string
}

interface Options {
  readonly arguments?: ReadonlyArray<string>
  readonly environment?: Readonly<Record<string, string | number>>
  /** The files in its working directory, by name; it has no others. */
  readonly files?: Readonly<Record<string, string>>
  /** The file that Node runs; by default the bundled program. */
  readonly program?: string
  /** Options of Node; by default the one that the program would otherwise restart itself with. */
  readonly nodeOptions?: ReadonlyArray<string>
}

const workingDirectory = (files: Readonly<Record<string, string>>) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const directory = await fs.mkdtemp(path.join(os.tmpdir(), "order-platform-process-"))
      for (const [name, text] of Object.entries(files)) await fs.writeFile(path.join(directory, name), text)
      return directory
    }),
    (directory) => Effect.promise(() => fs.rm(directory, { recursive: true, force: true, maxRetries: 3 }))
  )

/** Saves each start a restart, which one test of Starting.test.ts checks. */
export const youngGeneration = ["--max-semi-space-size=16"]

/** Runs the program with only this environment. It is killed when the scope closes. */
export const run = Effect.fnUntraced(function* (options: Options) {
  const cwd = yield* workingDirectory(options.files ?? {})
  const environment = Object.entries(options.environment ?? {})
  const ended = yield* Deferred.make<Ended>()
  return yield* Effect.acquireRelease(
    Effect.sync((): Process => {
      const child = spawn(
        process.execPath,
        [options.program ?? programs().orderPlatform, ...(options.arguments ?? [])],
        {
          cwd,
          env: {
            ...compileCache,
            ...Object.fromEntries(environment.map(([name, value]) => [name, String(value)]))
          },
          stdio: ["ignore", "pipe", "pipe"]
        }
      )
      const output = { stdout: "", stderr: "" }
      child.stdout.setEncoding("utf8").on("data", (text: string) => void (output.stdout += text))
      child.stderr.setEncoding("utf8").on("data", (text: string) => void (output.stderr += text))
      let at = 0
      child.on("exit", () => void (at = Date.now()))
      // Unlike "exit", this comes after the last output.
      child.on("close", (code, signal) => Deferred.doneUnsafe(ended, Effect.succeed({ code, signal, at })))
      return {
        ...(child.pid === undefined ? {} : { pid: child.pid }),
        stdout: () => output.stdout,
        stderr: () => output.stderr,
        kill: (signal) => void child.kill(signal),
        exit: Deferred.await(ended)
      }
    }),
    ({ exit, kill }) =>
      Effect.andThen(
        Effect.sync(() => kill("SIGKILL")),
        exit
      )
  )
})

/** Starts the program on the test's own schema and a free port, and waits until it accepts requests. */
export const start = Effect.fnUntraced(function* (
  environment: Options["environment"] = {},
  options: Omit<Options, "environment"> = {}
) {
  const schema = yield* DatabaseSchema
  const running = yield* run({
    ...options,
    environment: {
      SERVER_PORT: 0,
      LOG_FORMAT: "json",
      DATABASE_URL: databaseUrl(),
      DATABASE_SCHEMA: schema,
      ...environment
    }
  })
  const died = Effect.flatMap(running.exit, ({ code }) =>
    Effect.die(new Error(`The process ended with ${code} and did not serve: ${running.stderr()}`))
  )
  const url = yield* eventually(
    "the process logs its address",
    Effect.sync(() => /order-platform serves on (http:\/\/[^;]+);/.exec(running.stdout())?.[1])
  ).pipe(Effect.raceFirst(died))
  return { ...running, url } satisfies Serving
})

/**
 * Runs a test with its own schema, which its processes use and SQL can read; the processes end before it is dropped.
 */
export const withOwnSchema = <A, E, R>(test: Effect.Effect<A, E, R>) =>
  Effect.scoped(test).pipe(Effect.provide(ownSchema({ maxConnections: 2 })))

/** Polls until the effect returns a value, and returns it; after `within` the test fails with the condition. */
export const eventually = Effect.fnUntraced(function* <A, E, R>(
  condition: string,
  check: Effect.Effect<A | undefined, E, R>,
  within: Duration.Input = "100 seconds"
) {
  const poll = Effect.gen(function* () {
    while (true) {
      const value = yield* check
      if (value !== undefined) return value
      yield* Effect.sleep("30 millis")
    }
  })
  return yield* Effect.timeoutOrElse(poll, {
    duration: within,
    orElse: () => Effect.die(new Error(`Timed out before ${condition}.`))
  })
})

/** The response of a server; the caller states the type of `json`. */
export interface Answer<A> {
  readonly status: number
  readonly headers: Headers
  readonly json: A
}

export const call = <A = unknown>(url: string, init?: RequestInit): Effect.Effect<Answer<A>> =>
  Effect.promise(async (signal) => {
    const response = await fetch(url, { signal, ...init })
    const text = await response.text()
    const isJson = (response.headers.get("content-type") ?? "").includes("json")
    return {
      status: response.status,
      headers: response.headers,
      json: (isJson ? JSON.parse(text) : text) as A
    }
  })

/** Submits an order and returns its id once it is stored. */
export const submit = (
  server: Serving,
  body: Readonly<Record<string, unknown>> = {}
): Effect.Effect<string> =>
  call<{ readonly orderId: string }>(`${server.url}/orders`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body)
  }).pipe(
    Effect.flatMap(({ json, status }) =>
      status === 202
        ? Effect.succeed(json.orderId)
        : Effect.die(new Error(`The submit was answered ${status}.`))
    )
  )

/** The part of `GET /orders/{id}` that these tests check. */
export interface OrderAnswer {
  readonly status: string
  readonly retryCount: number
  readonly failureReason: string | null
  readonly version: number
}

/** The part of `GET /orders/{id}/timeline` that these tests check. */
export interface TimelineEvent {
  readonly at: string
  readonly event: string
  readonly from: string | null
  readonly to: string
  readonly version: number
  readonly attempt: number
  readonly reasonCode: string | null
}

export const order = (server: Serving, id: string): Effect.Effect<OrderAnswer> =>
  Effect.map(call<OrderAnswer>(`${server.url}/orders/${id}`), ({ json }) => json)

export const timeline = (server: Serving, id: string): Effect.Effect<ReadonlyArray<TimelineEvent>> =>
  Effect.map(
    call<{ readonly events: ReadonlyArray<TimelineEvent> }>(`${server.url}/orders/${id}/timeline`),
    ({ json }) => json.events
  )

/** Waits until the order has this status. */
export const awaitStatus = (status: string, server: Serving, id: string) =>
  eventually(
    `order ${id} is ${status}`,
    Effect.map(order(server, id), (order) => (order.status === status ? order : undefined))
  )

/** The number of orders by status, from SQL; a status without orders is absent. */
export const ordersByStatus = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const schema = yield* DatabaseSchema
  const rows = yield* sql<{ readonly status: string; readonly n: number }>`
    SELECT status, count(*)::int AS n FROM ${sql(`${schema}.orders`)} GROUP BY status`
  return Object.fromEntries(rows.map(({ n, status }) => [status, n])) as Readonly<Record<string, number>>
})

/** Waits until exactly these numbers of orders have each status. */
export const awaitOrders = (expected: Readonly<Record<string, number>>) =>
  eventually(
    `the orders are ${JSON.stringify(expected)}`,
    Effect.map(ordersByStatus, (counts) => (isDeepStrictEqual(counts, expected) ? counts : undefined))
  )

/** A port that was free at the time of the call. */
export const freePort = Effect.promise(async () => {
  const server = net.createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const { port } = server.address() as net.AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
})
