import { Data, Effect, Redacted } from "effect"
import { readFile } from "node:fs/promises"
import { isIP } from "node:net"
import { type ConnectionOptions, getCACertificates } from "node:tls"
import type { DatabaseAddress, Tls } from "./DatabaseAddress.ts"

/**
 * A certificate file that the URL names cannot be read. The message is the rest of a sentence that begins
 * with the name of the setting.
 */
class CertificateNotReadable extends Data.TaggedError("CertificateNotReadable")<{
  readonly message: string
}> {}

const read = (parameter: string, path: string | undefined) =>
  path === undefined
    ? Effect.undefined
    : Effect.tryPromise({
        try: () => readFile(path, "utf8"),
        catch: (error) =>
          new CertificateNotReadable({
            message: `has ${parameter} with a file that cannot be read: ${error instanceof Error ? error.message : String(error)}`
          })
      })

const rootsOf = ({ rootCertificate }: Tls) =>
  rootCertificate === "system"
    ? Effect.sync(() => getCACertificates("system"))
    : read("sslrootcert", rootCertificate)

/** The TLS options of Node for a URL; false for a connection without TLS. */
export const tlsOptions = Effect.fnUntraced(function* ({ host, tls }: DatabaseAddress) {
  if (tls === null) return false
  const ca = yield* rootsOf(tls)
  const cert = yield* read("sslcert", tls.certificate)
  const key = yield* read("sslkey", tls.key)
  const crl = yield* read("sslcrl", tls.revoked)
  return {
    host,
    // An IP address is not sent as the server name, but is still compared with the certificate.
    ...(isIP(host) === 0 && { servername: host }),
    rejectUnauthorized: tls.verify !== "none",
    ...(tls.verify !== "issuer and name" && { checkServerIdentity: () => undefined }),
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
    ...(crl !== undefined && { crl }),
    ...(tls.passphrase !== undefined && { passphrase: Redacted.value(tls.passphrase) }),
    ...(tls.minVersion !== undefined && { minVersion: tls.minVersion }),
    ...(tls.maxVersion !== undefined && { maxVersion: tls.maxVersion })
  } satisfies ConnectionOptions
})
