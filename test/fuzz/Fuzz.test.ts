import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs/promises"
import * as http from "node:http"
import { describe } from "vitest"
import { call, withOwnSchema, type Serving, start, submit } from "../processes/OrderPlatformProcess.ts"
import { raw } from "../RawHttp.ts"
import { chanceOf } from "./Chance.ts"
import { type Document, type FuzzedRequest, requestsFrom } from "./FuzzedRequest.ts"
import { nastyBytes } from "./Nasties.ts"

// `npm run fuzz` sends 20,000. A failure names its seed: FUZZ_SEED=… FUZZ_REQUESTS=… sends the same ones again.
const requests = Number(process.env["FUZZ_REQUESTS"] ?? 200)
const seed = Number(process.env["FUZZ_SEED"] ?? 1)

const types = [
  "not-found",
  "invalid-request",
  "idempotency-mismatch",
  "not-in-dlq",
  "version-mismatch",
  "conflict",
  "not-acceptable",
  "unauthorized",
  "forbidden",
  "overloaded",
  "unavailable",
  "method-not-allowed",
  "too-large",
  "unsupported-media-type",
  "internal"
].map((type) => `urn:order-platform:${type}`)

interface Answered {
  readonly status: number
  readonly type: string
  readonly body: string
}

/** Malformed bytes often leave the server waiting for more, which occupies one of these. */
const atOnce = 48

const agent = new http.Agent({ keepAlive: true, maxSockets: atOnce })

/** Sends a request and reads the answer with its body; of an event stream only the head. */
const send = (fuzzed: FuzzedRequest, port: number): Effect.Effect<Answered | string> =>
  Effect.callback<Answered | string>((resume) => {
    const { body, headers, method, path } = fuzzed
    const request = http.request({ agent, port, host: "127.0.0.1", method, path, headers }, (response) => {
      const type = response.headers["content-type"] ?? ""
      const answered = (text: string) =>
        resume(Effect.succeed({ status: response.statusCode ?? 0, type, body: text }))
      if (type.startsWith("text/event-stream")) {
        answered("")
        request.destroy()
        return
      }
      let text = ""
      response.setEncoding("utf8").on("data", (chunk: string) => void (text += chunk))
      response.on("end", () => answered(text))
    })
    // An idle connection may not be closed either: a server that closes one after an answer must say so in it.
    request.on("error", (error) => resume(Effect.succeed(error.message)))
    request.end(body)
  }).pipe(
    Effect.timeoutOrElse({ duration: "20 seconds", orElse: () => Effect.succeed("no answer in 20 seconds") })
  )

const parsed = (body: string): Readonly<Record<string, unknown>> => {
  try {
    return JSON.parse(body) as Readonly<Record<string, unknown>>
  } catch {
    return {}
  }
}

/** The fault of an answer; null if it has none. */
const faultOf = (answered: Answered | string, method: string): string | null => {
  if (typeof answered === "string") return answered
  const { body, status, type } = answered
  if (status >= 500) return `status ${status}: ${body}`
  if (status < 400 || method === "HEAD") return null
  if (type !== "application/problem+json") return `status ${status} as ${type}: ${body}`
  const problem = parsed(body)
  return types.includes(String(problem["type"])) &&
    problem["status"] === status &&
    typeof problem["title"] === "string" &&
    typeof problem["detail"] === "string"
    ? null
    : `no known problem: ${body}`
}

/** The fault of the first answer on a raw connection; no answer at all is allowed. */
const rawFaultOf = (answer: string): string | null => {
  const [, status = "0"] = /^HTTP\/1\.1 (\d{3})/.exec(answer) ?? []
  if (answer === "" || Number(status) < 400) return null
  const type = /content-type: (.*)\r\n/i.exec(answer)?.[1] ?? ""
  const length = Number(/content-length: (\d+)\r\n/i.exec(answer)?.[1] ?? 0)
  const begin = answer.indexOf("\r\n\r\n") + 4
  return faultOf({ status: Number(status), type, body: answer.slice(begin, begin + length) }, "GET")
}

const residentOf = ({ pid }: Serving) =>
  Effect.promise(async () => {
    const status = await fs.readFile(`/proc/${pid}/status`, "utf8")
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024
  })

describe("requests generated from the OpenAPI document, and malformed bytes", () => {
  it.live(
    `get no 5xx, every error is a known problem, and memory does not grow (${requests} requests, seed ${seed})`,
    () =>
      Effect.gen(function* () {
        const server = yield* start({
          ORDER_WORKER_FAILURE_PROBABILITY: 0.7,
          ORDER_WORKER_FAILURE_SEED: "fuzz",
          ORDER_WORKER_RETRY_DELAY_MS: 10
        })
        const port = Number(new URL(server.url).port)
        const { json } = yield* call<Document>(`${server.url}/openapi.json`)
        const ids = yield* Effect.all(
          Array.from({ length: 10 }, () => submit(server, { maxRetries: 1 })),
          { concurrency: 5 }
        )
        const requestOf = requestsFrom(json, ids)
        const faults: Array<string> = []
        const statuses = new Map<number, number>()
        const one = (n: number) =>
          Effect.gen(function* () {
            const chance = chanceOf(seed * 1_000_003 + n)
            if (chance.percent(8)) {
              const bytes = nastyBytes(chance)
              const answer = yield* Effect.timeoutOrElse(raw(port, bytes), {
                duration: "2 seconds",
                // The server waits for the rest of an incomplete request.
                orElse: () => Effect.succeed("")
              })
              const wrong = rawFaultOf(answer)
              if (wrong !== null) faults.push(`${n}: ${bytes.toString("latin1").slice(0, 300)} -> ${wrong}`)
              return
            }
            const request = requestOf(chance)
            const answered = yield* send(request, port)
            const wrong = faultOf(answered, request.method)
            if (wrong !== null) faults.push(`${n}: ${JSON.stringify(request).slice(0, 500)} -> ${wrong}`)
            if (typeof answered !== "string") {
              statuses.set(answered.status, (statuses.get(answered.status) ?? 0) + 1)
            }
          })
        const range = (from: number, to: number) =>
          Effect.forEach(
            Array.from({ length: to - from }, (_, n) => from + n),
            one,
            { concurrency: atOnce, discard: true }
          )
        // The same number of other requests first: a new heap grows to its working size and V8 returns little of it.
        // Only growth that continues under the same load is a leak.
        yield* range(requests, 2 * requests)
        const before = yield* residentOf(server)
        yield* range(0, requests)
        const after = yield* residentOf(server)
        agent.destroy()
        assert.strictEqual((yield* call(`${server.url}/health/ready`)).status, 200)
        const summary = [...statuses].sort(([a], [b]) => a - b).map(([status, n]) => `${n} x ${status}`)
        yield* Effect.logInfo(`${summary.join(", ")}; ${before >> 20} MB before, ${after >> 20} MB after`)
        // A short run cannot tell the two apart.
        assert.deepStrictEqual(faults.slice(0, 20), [])
        assert.isBelow(after / before, requests >= 10_000 ? 1.3 : 2, `${before} bytes before, ${after} after`)
        // The requests reach all kinds of answers.
        for (const status of [200, 202, 400, 404, 405, 406, 415])
          assert.isAbove(statuses.get(status) ?? 0, 0, String(status))
      }).pipe(withOwnSchema),
    600_000
  )
})
