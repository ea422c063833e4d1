import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import type { Socket } from "node:net"
import { open, readToEnd } from "../RawHttp.ts"
import { withOwnSchema, start } from "./OrderPlatformProcess.ts"

const statusOf = (answer: string) => /^HTTP\/1\.1 (\d+)/.exec(answer)?.[1]

/** Calls /health/live on this connection; returns the milliseconds until the first byte. */
const live = (socket: Socket) =>
  Effect.callback<number>((resume) => {
    const asked = performance.now()
    socket.once("data", () => resume(Effect.succeed(performance.now() - asked)))
    socket.write("GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n")
  })

const slow = [
  ["headers", "GET /orders HTTP/1.1\r\nhost: localhost\r\n", "x: 1\r\n"],
  ["bodies", "POST /orders HTTP/1.1\r\nhost: localhost\r\ncontent-length: 60000\r\n\r\n{", " "],
  [
    "chunks",
    "POST /orders HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{\r\n",
    "1\r\n \r\n"
  ]
] as const

const megabytes30 = Buffer.alloc(30_000_000, 0x20)

/** Runs all slow and large clients once; returns the milliseconds of each health call meanwhile. */
const round = (port: number) =>
  Effect.gen(function* () {
    const sockets = yield* Effect.all(
      Array.from({ length: 201 }, () => open(port)),
      { concurrency: 50 }
    )
    const ends = yield* Effect.forkChild(Effect.all(sockets.map(readToEnd), { concurrency: "unbounded" }))
    const kindOf = (n: number) => slow[n % slow.length] ?? slow[0]
    sockets.forEach((socket, n) => socket.write(kindOf(n)[1]))
    yield* Effect.sync(() =>
      sockets.forEach((socket, n) => socket.writable && socket.write(kindOf(n)[2]))
    ).pipe(Effect.andThen(Effect.sleep("100 millis")), Effect.forever, Effect.forkChild)

    const tooLarge = (head: string) =>
      Effect.scoped(
        Effect.gen(function* () {
          const socket = yield* open(port)
          const answer = readToEnd(socket)
          socket.write(`POST /orders HTTP/1.1\r\nhost: localhost\r\n${head}\r\n`)
          socket.write(megabytes30)
          // The server may close before everything is sent, and its answer may be lost.
          const text = yield* answer
          assert.include(["413", undefined], statusOf(text))
          if (text !== "") assert.match(text, /\r\nconnection: close\r\n/i)
        })
      )
    const large = yield* Effect.forkChild(
      Effect.all(
        [
          tooLarge("content-length: 30000000\r\n"),
          tooLarge("transfer-encoding: chunked\r\n\r\n1c9c380"),
          tooLarge("expect: 100-continue\r\ncontent-length: 30000000\r\n")
        ],
        { concurrency: "unbounded" }
      )
    )

    const health = yield* open(port)
    const times: Array<number> = []
    for (let n = 0; n < 100; n++) {
      times.push(yield* live(health))
      yield* Effect.sleep("10 millis")
    }
    yield* Fiber.join(large)
    // Node times out headers, the platform times out bodies; both are answered.
    const answers = yield* Fiber.join(ends)
    assert.deepStrictEqual(
      answers.map(statusOf),
      sockets.map((_, n) => (kindOf(n)[0] === "headers" ? "408" : "503"))
    )
    return times
  })

/** Other programs may delay some calls, but a client that holds the event loop delays all of them. */
const isFast = (times: ReadonlyArray<number>) =>
  times.filter((time) => time < 100).length >= 0.9 * times.length

describe("slow clients and clients that send too much", () => {
  it.live("leave nine of ten calls of /health/live under 100 ms and are disconnected", () =>
    Effect.gen(function* () {
      const { url } = yield* start({ SERVER_REQUEST_TIMEOUT_MS: 2000 })
      const port = Number(new URL(url).port)
      const rounds: Array<ReadonlyArray<number>> = []
      while (rounds.length < 3 && !rounds.some(isFast)) rounds.push(yield* Effect.scoped(round(port)))
      assert.isTrue(rounds.some(isFast), rounds.map((times) => times.map(Math.round).join(" ")).join("\n"))
    }).pipe(withOwnSchema)
  )
})
