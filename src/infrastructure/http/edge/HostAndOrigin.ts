import { Context } from "effect"
import type { HttpServerRequest } from "effect/http"
import { Forbidden } from "../../../contract/RequestErrors.ts"

type Request = HttpServerRequest.HttpServerRequest

/**
 * Whether a server without keys accepts only loopback names in `Host`; true by default. Set it to false for a server
 * that is open to other machines on purpose.
 */
export const LoopbackNamesOnly = Context.Reference<boolean>(
  "order-platform/infrastructure/http/edge/LoopbackNamesOnly",
  { defaultValue: () => true }
)

const parse = (origin: string): URL | null => {
  // Only a host and a port, as in RFC 9110, 7.2, and no other part of a URL.
  if (!/^https?:\/\/[^\s/?#@\\]+$/i.test(origin)) return null
  return URL.parse(origin)
}

const isLoopbackName = (hostname: string): boolean => {
  // A name may end with a dot (the root domain).
  const name = hostname.replace(/\.$/, "")
  return /^(?:.+\.)?localhost$|^127(?:\.\d{1,3}){3}$|^\[::1\]$/.test(name)
}

const usual = /^(?:localhost|127\.0\.0\.1|\[::1\])(?::\d{1,5})?$/

const isLoopbackHost = (host: string): boolean => {
  if (usual.test(host)) return true
  const url = parse(`http://${host}`)
  return url !== null && isLoopbackName(url.hostname)
}

/**
 * Refuses a `Host` that is not a loopback name on a server that only this machine may call. For a browser, a
 * page whose domain resolves to 127.0.0.1 (DNS rebinding) has the same origin as this server; only the header
 * `Host` reveals such a page.
 */
export const checkHost = ({ headers }: Request, loopbackNamesOnly: boolean): Forbidden | null => {
  const { host } = headers
  if (!loopbackNamesOnly || host === undefined || isLoopbackHost(host)) return null
  return new Forbidden({
    message:
      "A server without keys accepts only loopback names in Host: localhost, names below it, 127.0.0.0/8 or [::1]."
  })
}

const changesNothing = (method: string) => method === "GET" || method === "HEAD" || method === "OPTIONS"

// This server serves plain HTTP. Behind a proxy that terminates TLS at the default port, the pages of this
// server have an https origin.
const isOwn = (origin: string, host: string): boolean => {
  const sent = parse(origin)
  const own = parse(`http://${host}`)
  if (sent === null || own === null) return false
  if (sent.origin === own.origin) return true
  return own.port === "" && !isLoopbackName(own.hostname) && sent.origin === `https://${own.host}`
}

/**
 * Refuses a call that changes something and comes from a page of another origin (Fetch Standard, 3.2).
 * Browsers send some such calls without a preflight. They then hide the response from the page, but do not
 * prevent the change.
 */
export const checkOrigin = (
  { headers, method }: Request,
  corsOrigins: ReadonlyArray<string>
): Forbidden | null => {
  const { host = "", origin } = headers
  if (origin === undefined || changesNothing(method)) return null
  if (corsOrigins.includes(origin) || isOwn(origin, host)) return null
  return new Forbidden({
    message:
      "The call comes from a page whose Origin is neither this server's own nor in its setting server.corsOrigins."
  })
}
