import { once } from "node:events"
import * as net from "node:net"

/** The network between one process and PostgreSQL. */
export interface Proxy {
  readonly port: number
  /** Cuts every connection with a reset. */
  readonly reset: () => void
  /** New connections are reset as soon as they are made, and so is every one that there is. */
  readonly refuse: () => void
  /** Nothing arrives on either side until `heal`, and then all of it, late: packets that were sent again. */
  readonly hold: () => void
  /** All connections fall silent for ever, on both sides, as when a firewall or a machine forgot them; so do new ones, until `heal`. */
  readonly discard: () => void
  /** What the process says arrives, what PostgreSQL says does not, and neither learns of it. */
  readonly swallowReplies: () => void
  /** New connections pass again; those that were held go on. Does not bring back what was discarded. */
  readonly heal: () => void
  /** New connections lead to another port from now on, as after a failover. */
  readonly leadTo: (port: number) => void
  readonly close: () => Promise<void>
}

type Weather = "passes" | "refuses" | "holds" | "discards" | "swallows"

interface Link {
  readonly client: net.Socket
  readonly server: net.Socket | null
  /** Nobody hears of anybody any more. */
  silent: boolean
  readonly held: Array<() => void>
}

/** How long the server takes to find out that a silent connection has no other end. */
const forgottenMs = 30_000

/** A proxy of its own for one process, so that one can be cut off alone. */
export const startProxy = async (target: number, host = "127.0.0.1"): Promise<Proxy> => {
  let weather: Weather = "passes"
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
    if (weather === "refuses") return client.resetAndDestroy()
    // One that comes while everything is discarded never reaches the server.
    const server = weather === "discards" ? null : net.connect(port, host)
    const link: Link = { client, server, silent: server === null, held: [] }
    links.add(link)
    // Whatever happens is done now, later or never.
    const deliver = (does: () => void) => {
      if (link.silent) return
      if (weather === "holds") link.held.push(does)
      else does()
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
        if (weather !== "swallows") client.write(chunk)
      })
    )
    server.on("close", () =>
      deliver(() => {
        if (weather !== "swallows") client.destroy()
      })
    )
  })
  listener.listen(0, "127.0.0.1")
  await once(listener, "listening")

  return {
    leadTo: (other) => {
      port = other
    },
    port: (listener.address() as net.AddressInfo).port,
    reset: cutAll,
    refuse: () => {
      weather = "refuses"
      cutAll()
    },
    hold: () => {
      weather = "holds"
    },
    discard: () => {
      weather = "discards"
      for (const link of links) link.silent = true
    },
    swallowReplies: () => {
      weather = "swallows"
    },
    heal: () => {
      weather = "passes"
      for (const link of links) for (const does of link.held.splice(0)) does()
    },
    close: async () => {
      weather = "refuses"
      cutAll()
      listener.close()
      await once(listener, "close")
    }
  }
}
