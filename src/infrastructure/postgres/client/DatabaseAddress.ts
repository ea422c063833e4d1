import type { Duration, Redacted } from "effect"

/** How much of the server's certificate is checked: nothing, its issuer, or its issuer and its name. */
export type Verification = "none" | "issuer" | "issuer and name"

/** TLS as the URL asks for it. Certificates are paths of PEM files; `rootCertificate` may be the word `system`. */
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

/** Everything that a connection URL says. */
export interface DatabaseAddress {
  /** A host name, an IP address without brackets, or a directory of Unix sockets that begins with `/`. */
  readonly host: string
  readonly port: number
  /** The address to connect to, where it is not `host`; `host` is then only the name in the certificate. */
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
  /** Null for plain text. */
  readonly tls: Tls | null
  /** Host, port if one was given, and database, for people. Never the password. */
  readonly shown: string
}

/** What the parameters of a URL set, before it is known whether they fit together. */
export interface Draft extends Partial<Omit<DatabaseAddress, "tls" | "shown">>, Partial<Omit<Tls, "verify">> {
  readonly sslmode?: "disable" | "require" | "verify-ca" | "verify-full"
  readonly ssl?: boolean
}
