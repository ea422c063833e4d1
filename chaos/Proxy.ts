import { once } from "node:events"
import * as net from "node:net"

/** The network between one process and PostgreSQL. */
export interface Proxy {
  readonly port: number
  /** Resets every connection. */
  readonly reset: () => void
  /** Resets every connection and every new one. */
  readonly refuse: () => void
  /** Holds everything back on both sides until `heal`, and then delivers it, like a late retransmission. */
  readonly hold: () => void
  /**
   * Drops everything on all connections for good, as if a firewall had forgotten them; on new ones too, until `heal`.
   */
  readonly discard: () => void
  /** Drops what PostgreSQL sends without either side noticing; what the process sends arrives. */
  readonly dropReplies: () => void
  /** Passes new connections and delivers what was held. What was discarded stays lost. */
  readonly heal: () => void
  /** Connects new connections to another port, as after a failover. */
  readonly redirectTo: (port: number) => void
  readonly close: () => Promise<void>
}

type Mode = "passes" | "refuses" | "holds" | "discards" | "drops replies"

interface Link {
  readonly client: net.Socket
  readonly server: net.Socket | null
  /** Whether both sides are cut off without knowing. */
  silent: boolean
  readonly held: Array<() => void>
}

/** How long the server takes to notice that a silent connection is dead. */
const forgottenMs = 30_000

/** Starts a proxy for one process, so that this process alone can be cut off. */
export const startProxy = async (target: number, host = "127.0.0.1"): Promise<Proxy> => {
  let mode: Mode = "passes"
  let port = target
  const links = new Set<Link>()

  const cut = (link: Link) => {
    links.delete(link)
    link.client.resetAndDestroy()
    link.server?.resetAndDestroy()
  }
  const cutAll = () => links.forEach(cut)

  const listener = net.createServer((client) => {
    client.on("error", () => undefined)
    if (mode === "refuses") return client.resetAndDestroy()
    // A connection made while everything is discarded never reaches the server.
    const server = mode === "discards" ? null : net.connect(port, host)
    const link: Link = { client, server, silent: server === null, held: [] }
    links.add(link)
    // Delivers now, later or never.
    const deliver = (action: () => void) => {
      if (link.silent) return
      if (mode === "holds") link.held.push(action)
      else action()
    }
    client.on("data", (chunk: Buffer) => deliver(() => void server?.write(chunk)))
    client.on("close", () => {
      if (link.silent) {
        const forget = setTimeout(() => {
          links.delete(link)
          server?.resetAndDestroy()
        }, forgottenMs)
        forget.unref()
      } else
        deliver(() => {
          links.delete(link)
          server?.end()
        })
    })
    if (server === null) return client.resume()
    server.on("error", () => undefined)
    server.on("data", (chunk: Buffer) =>
      deliver(() => {
        if (mode !== "drops replies") client.write(chunk)
      })
    )
    server.on("close", () =>
      deliver(() => {
        if (mode !== "drops replies") client.destroy()
      })
    )
  })
  listener.listen(0, "127.0.0.1")
  await once(listener, "listening")

  return {
    redirectTo: (other) => {
      port = other
    },
    port: (listener.address() as net.AddressInfo).port,
    reset: cutAll,
    refuse: () => {
      mode = "refuses"
      cutAll()
    },
    hold: () => {
      mode = "holds"
    },
    discard: () => {
      mode = "discards"
      for (const link of links) link.silent = true
    },
    dropReplies: () => {
      mode = "drops replies"
    },
    heal: () => {
      mode = "passes"
      for (const link of links) for (const action of link.held.splice(0)) action()
    },
    close: async () => {
      mode = "refuses"
      cutAll()
      listener.close()
      await once(listener, "close")
    }
  }
}
