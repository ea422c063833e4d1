import { Effect } from "effect"
import { call, eventually, run, type Serving } from "../processes/OrderPlatformProcess.ts"

/** Starts the program on a database of this test, unlike `start`, which uses the database of the run. */
export const serveOn = Effect.fnUntraced(function* (
  url: string,
  more: Readonly<Record<string, string | number>> = {}
) {
  const process = yield* run({
    environment: { SERVER_PORT: 0, LOG_FORMAT: "json", DATABASE_URL: url, ...more }
  })
  const ended = Effect.flatMap(process.exit, () => Effect.die(new Error(process.stderr())))
  const base = yield* eventually(
    "it serves",
    Effect.sync(() => /serves on (http:\/\/[^;]+);/.exec(process.stdout())?.[1])
  ).pipe(Effect.raceFirst(ended))
  return { ...process, url: base } satisfies Serving
})

/** Submits an order; returns the status and the body. */
export const post = (server: Serving, body: object = {}) =>
  call<{ readonly orderId: string }>(`${server.url}/orders`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body)
  })

/** The statuses of a submit and of `/health/ready`. */
export const statuses = (server: Serving) =>
  Effect.all([
    Effect.map(post(server), ({ status }) => status),
    Effect.map(call(`${server.url}/health/ready`), ({ status }) => status)
  ])

/** Waits until both say that orders are accepted (202), or that they are not (503). */
export const becomes = (server: Serving, expected: number, within: "5 seconds" | "10 seconds") =>
  eventually(
    `POST and ready answer ${expected === 202 ? "202 and 200" : "503"}`,
    Effect.map(statuses(server), ([post, ready]) =>
      post === expected && ready === (expected === 202 ? 200 : 503) ? true : undefined
    ),
    within
  )
