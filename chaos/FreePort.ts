import { once } from "node:events"
import * as net from "node:net"

// Below the ephemeral ports of Linux, macOS and Windows: an outgoing connection may take one of those between this
// check and the listen, or while the process on it restarts.
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

/** A port on 127.0.0.1 that was free at the time of the call and is outside the ephemeral range. */
export const freePort = async (): Promise<number> => {
  for (let tries = 0; tries < 100; tries++) {
    const port = lowest + Math.floor(Math.random() * (highest - lowest))
    if (await isFree(port)) return port
  }
  throw new Error(`No port of 100 between ${lowest} and ${highest} was free.`)
}
