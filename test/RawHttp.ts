import { Effect } from "effect"
import { connect, type Socket } from "node:net"

/** Opens a connection to a server on 127.0.0.1, which is closed with the test's scope. */
export const open = (port: number) =>
  Effect.acquireRelease(
    Effect.callback<Socket>((resume) => {
      const socket = connect(port, "127.0.0.1", () => resume(Effect.succeed(socket)))
      // Tests see errors of the connection by what they read.
      socket.on("error", () => undefined)
    }),
    (socket) => Effect.sync(() => socket.destroy())
  )

/** Everything received until the server closes. */
export const readToEnd = (socket: Socket) =>
  Effect.callback<string>((resume) => {
    let answer = ""
    const end = () => resume(Effect.succeed(answer))
    socket.on("data", (chunk) => void (answer += String(chunk)))
    if (socket.destroyed) end()
    else socket.on("close", end)
  })

/** Sends exactly these bytes and returns everything received until the server closes. */
export const raw = (port: number, text: string | Uint8Array) =>
  Effect.scoped(
    Effect.flatMap(open(port), (socket) => {
      socket.write(text)
      return readToEnd(socket)
    })
  )
