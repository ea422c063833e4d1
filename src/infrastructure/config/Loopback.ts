import { BlockList, isIP } from "node:net"

const loopback = new BlockList()
loopback.addSubnet("127.0.0.0", 8)
loopback.addAddress("::1", "ipv6")

/**
 * Whether only this machine can reach a server on this host. For a name other than localhost the answer is
 * no, because the name may resolve to any address.
 */
export const isLoopback = (host: string): boolean =>
  host.toLowerCase() === "localhost" ||
  (isIP(host) > 0 && loopback.check(host, isIP(host) === 4 ? "ipv4" : "ipv6"))
