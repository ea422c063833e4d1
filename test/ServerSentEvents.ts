import { type Cause, Effect, Queue } from "effect"
import * as http from "node:http"

/** A server-sent event as a client receives it. */
export interface Received {
  readonly id: string
  readonly event: string
  readonly data: Record<string, unknown>
}

/** An open event stream of a client; the queue of its events ends with the stream. */
export interface OpenStream {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  readonly events: Queue.Dequeue<Received, Cause.Done>
  /** The raw text received so far. */
  readonly text: () => string
  /** Whether the response was complete. */
  readonly isComplete: () => boolean
  /** Closes the connection like a network failure. */
  readonly cut: Effect.Effect<void>
}

const received = (block: string): Received | undefined => {
  const fields = block.split("\n").flatMap((line) => {
    const [, name = "", value = ""] = /^(\w+): (.*)$/.exec(line) ?? []
    return name === "" ? [] : [[name, value] as const]
  })
  const { data, event = "", id = "" } = Object.fromEntries(fields) as Partial<Record<string, string>>
  return data === undefined ? undefined : { id, event, data: JSON.parse(data) as Received["data"] }
}

/** Opens the stream on a new connection, which is closed with the scope. */
export const openStream = (url: string, headers: Readonly<Record<string, string>> = {}, method = "GET") =>
  Effect.acquireRelease(
    Effect.gen(function* () {
      const events = yield* Queue.unbounded<Received, Cause.Done>()
      return yield* Effect.callback<OpenStream>((resume) => {
        const request = http.request(url, { agent: false, headers, method })
        let text = ""
        let pending = ""
        request.on("response", (response) => {
          response.setEncoding("utf8").on("data", (chunk: string) => {
            text += chunk
            const blocks = (pending + chunk).split("\n\n")
            pending = blocks.pop() ?? ""
            for (const event of blocks.map(received))
              if (event !== undefined) Queue.offerUnsafe(events, event)
          })
          response.on("close", () => Queue.endUnsafe(events))
          resume(
            Effect.succeed({
              status: response.statusCode ?? 0,
              headers: response.headers,
              events,
              text: () => text,
              isComplete: () => response.complete,
              cut: Effect.sync(() => void request.destroy())
            })
          )
        })
        // The connection was closed by either side: the queue ends.
        request.on("error", () => Queue.endUnsafe(events))
        request.end()
      })
    }),
    ({ cut }) => cut
  )

/** The remaining events, until the stream ends. */
export const restOf = ({ events }: OpenStream) => Queue.collect(events)
