import { Effect } from "effect"
import { once } from "node:events"
import * as net from "node:net"
import { databaseUrl } from "../TestPostgres.ts"
import { messages } from "../PostgresMessages.ts"

/** A proxy between a process and the database that counts the statements of the process. */
export const countingProxy = Effect.acquireRelease(
  Effect.promise(async () => {
    const { hostname, port } = new URL(databaseUrl())
    const sockets = new Set<net.Socket>()
    let statements = 0
    const server = net.createServer((client) => {
      const database = net.connect(Number(port || 5432), hostname)
      const typesIn = messages()
      client.on("data", (data) => {
        statements += typesIn(data).filter((type) => type === "E" || type === "Q").length
        database.write(data)
      })
      database.on("data", (data) => client.write(data))
      for (const [one, other] of [
        [client, database],
        [database, client]
      ] as const) {
        sockets.add(one)
        one.on("error", () => one.destroy())
        one.on("close", () => {
          sockets.delete(one)
          other.destroy()
        })
      }
    })
    server.listen(0, "127.0.0.1")
    await once(server, "listening")
    const url = new URL(databaseUrl())
    url.hostname = "127.0.0.1"
    url.port = String((server.address() as net.AddressInfo).port)
    return {
      url: url.href,
      /** The number of statements sent so far. */
      statements: () => statements,
      /** Closes all connections; new ones are accepted. */
      cut: () => {
        for (const socket of sockets) socket.destroy()
      },
      close: () => {
        for (const socket of sockets) socket.destroy()
        server.close()
      }
    }
  }),
  ({ close }) => Effect.sync(close)
)
