import type { Duration, Redacted } from "effect"

/** What is verified of the server's certificate: nothing, its issuer, or its issuer and its name. */
export type Verification = "none" | "issuer" | "issuer and name"

/** The TLS options of a URL. Certificates are paths of PEM files; `rootCertificate` may also be `system`. */
export interface Tls {
  readonly verify: Verification
  readonly rootCertificate?: string
  readonly certificate?: string
  readonly key?: string
  readonly passphrase?: Redacted.Redacted
  readonly revoked?: string
  readonly minVersion?: TlsVersion
  readonly maxVersion?: TlsVersion
}

export type TlsVersion = "TLSv1" | "TLSv1.1" | "TLSv1.2" | "TLSv1.3"

/** The content of a connection URL. */
export interface DatabaseAddress {
  /** A host name, an IP address without brackets, or a directory of Unix sockets that begins with `/`. */
  readonly host: string
  readonly port: number
  /**
   * The address to connect to, if it is not `host`. If it is given, `host` is only the name in the
   * certificate.
   */
  readonly address?: string
  readonly user?: string
  readonly password?: Redacted.Redacted
  readonly database?: string
  readonly applicationName?: string
  /** Command-line options for the server, such as `-c search_path=app`. */
  readonly options?: string
  readonly connectTimeout?: Duration.Duration
  /** Idle time before TCP keepalive probes. */
  readonly keepAlive?: Duration.Duration
  /** Null for a connection without TLS. */
  readonly tls: Tls | null
  /** Host, port if the URL has one, and database, without the password, for messages. */
  readonly shown: string
}

/** The values of a URL, before they are checked for contradictions. */
export interface Draft extends Partial<Omit<DatabaseAddress, "tls" | "shown">>, Partial<Omit<Tls, "verify">> {
  readonly sslmode?: "disable" | "require" | "verify-ca" | "verify-full"
  readonly ssl?: boolean
}
