import { once } from "node:events"
import * as net from "node:net"

// Below the ports that Linux, macOS and Windows give to outgoing connections: one of those may be taken by any connection
// between the look and the listening, and again while a process that listened there is being restarted.
const lowest = 15_000
const highest = 32_000

const isFree = async (port: number): Promise<boolean> => {
  const server = net.createServer().listen(port, "127.0.0.1")
  try {
    await once(server, "listening")
  } catch {
    return false
  }
  server.close()
  await once(server, "close")
  return true
}

/** A port on 127.0.0.1 that was free a moment ago, and that no outgoing connection takes. */
export const freePort = async (): Promise<number> => {
  for (let tries = 0; tries < 100; tries++) {
    const port = lowest + Math.floor(Math.random() * (highest - lowest))
    if (await isFree(port)) return port
  }
  throw new Error(`No port of 100 between ${lowest} and ${highest} was free.`)
}
