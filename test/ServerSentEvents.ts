import { type Cause, Effect, Queue } from "effect"
import * as http from "node:http"

/** An event as a client of server-sent events gets it. */
export interface Received {
  readonly id: string
  readonly event: string
  readonly data: Record<string, unknown>
}

/** A stream that a client has open: its events come in the queue, which ends when the stream does, however it does. */
export interface OpenStream {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  readonly events: Queue.Dequeue<Received, Cause.Done>
  /** All that came, as it came. */
  readonly text: () => string
  /** Whether the answer came to its end, and was not broken off. */
  readonly isComplete: () => boolean
  /** Breaks the connection off, as a network does. */
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

/** Opens the stream on a connection of its own; it is cut at the end of the scope. */
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
        // Cut off, by us or by the server: the queue ends.
        request.on("error", () => Queue.endUnsafe(events))
        request.end()
      })
    }),
    ({ cut }) => cut
  )

/** The events that are still to come, until the stream ends. */
export const restOf = ({ events }: OpenStream) => Queue.collect(events)
