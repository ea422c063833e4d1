import { Duration, Redacted } from "effect"
import type { Draft, TlsVersion } from "./DatabaseAddress.ts"

/** A parameter that is supported, with its allowed values, or one that is refused, with the reason. */
export type Parameter =
  | {
      /** The values that the parameter sets; null if its value is not allowed. */
      readonly takes: (value: string) => Draft | null
      /** Completes the sentence "it must be …". */
      readonly allowed: string
      /** Whether the value is kept out of messages. */
      readonly secret?: true
    }
  | { readonly refused: string }

const honoured = (allowed: string, takes: (value: string) => Draft | null): Parameter => ({ allowed, takes })

const text = (takes: (value: string) => Draft): Parameter => honoured("a text", takes)

const file = (takes: (path: string) => Draft): Parameter =>
  honoured("the path of a PEM file", (path) => (path === "" ? null : takes(path)))

const seconds = (takes: (duration: Duration.Duration) => Draft): Parameter =>
  honoured("a whole number of seconds from 1 to 86400", (value) =>
    /^\d{1,5}$/.test(value) && Number(value) >= 1 && Number(value) <= 86_400
      ? takes(Duration.seconds(Number(value)))
      : null
  )

/** A parameter that is accepted only with values that describe what this program does anyway. */
const only = (...values: ReadonlyArray<string>): Parameter =>
  honoured(values.join(" or "), (value) => (values.includes(value) ? {} : null))

const refused = (why: string): Parameter => ({ refused: why })

const oneOf = <const Words extends ReadonlyArray<string>>(
  words: Words,
  takes: (word: Words[number]) => Draft,
  why = ""
): Parameter =>
  honoured(`one of ${words.join(", ")}${why}`, (value) => {
    const word = words.find((word) => word === value)
    return word === undefined ? null : takes(word)
  })

const tlsVersions = ["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"] as const satisfies ReadonlyArray<TlsVersion>

const inUrl = "give user and password in the URL"
const noTcpSettings = "the operating system decides"
const noGss = "GSSAPI is not supported"

/** Every parameter of libpq up to PostgreSQL 18, and `ssl`, which JDBC and other clients have. */
export const parameters: Readonly<Record<string, Parameter>> = {
  host: honoured("one host name, address or directory of sockets", (host) =>
    host === "" || host.includes(",") ? null : { host }
  ),
  hostaddr: honoured("one IP address", (address) => (/^[0-9A-Fa-f.:]+$/.test(address) ? { address } : null)),
  port: honoured("from 1 to 65535", (value) =>
    /^\d{1,5}$/.test(value) && Number(value) >= 1 && Number(value) <= 65_535 ? { port: Number(value) } : null
  ),
  dbname: text((database) => ({ database })),
  user: text((user) => ({ user })),
  password: { ...honoured("a text", (value) => ({ password: Redacted.make(value) })), secret: true },
  application_name: text((applicationName) => ({ applicationName })),
  fallback_application_name: text(() => ({})),
  options: text((options) => ({ options })),
  client_encoding: only("UTF8", "utf8", "UTF-8", "auto"),
  connect_timeout: seconds((connectTimeout) => ({ connectTimeout })),
  keepalives: only("1"),
  keepalives_idle: seconds((keepAlive) => ({ keepAlive })),
  keepalives_interval: refused(noTcpSettings),
  keepalives_count: refused(noTcpSettings),
  tcp_user_timeout: refused(noTcpSettings),
  target_session_attrs: honoured("any, read-write or primary, because orders have to be written", (value) =>
    ["any", "read-write", "primary"].includes(value) ? {} : null
  ),
  load_balance_hosts: only("disable"),
  replication: only("false", "off", "no", "0"),
  min_protocol_version: only("3.0"),
  max_protocol_version: only("3.0", "3.2", "latest"),

  sslmode: oneOf(
    ["disable", "require", "verify-ca", "verify-full"],
    (sslmode) => ({ sslmode }),
    " (prefer and allow would fall back to plain text unnoticed)"
  ),
  ssl: honoured("true or false", (value) =>
    value === "true" || value === "false" ? { ssl: value === "true" } : null
  ),
  requiressl: honoured("0 or 1", (value) => (value === "1" ? { ssl: true } : value === "0" ? {} : null)),
  sslrootcert: file((rootCertificate) => ({ rootCertificate })),
  sslcert: file((certificate) => ({ certificate })),
  sslkey: file((key) => ({ key })),
  sslpassword: { ...honoured("a text", (value) => ({ passphrase: Redacted.make(value) })), secret: true },
  sslcrl: file((revoked) => ({ revoked })),
  sslcrldir: refused("name one file by sslcrl"),
  sslsni: only("1"),
  sslcompression: only("0"),
  sslnegotiation: only("postgres"),
  sslcertmode: only("allow"),
  sslkeylogfile: refused("keys are never written to a file"),
  ssl_min_protocol_version: oneOf(tlsVersions, (minVersion) => ({ minVersion })),
  ssl_max_protocol_version: oneOf(tlsVersions, (maxVersion) => ({ maxVersion })),
  channel_binding: honoured("prefer or disable, because channel binding is not supported", (value) =>
    value === "prefer" || value === "disable" ? {} : null
  ),

  require_auth: refused("the method of authentication cannot be demanded; use sslmode=verify-full"),
  passfile: refused(inUrl),
  service: refused("name host and database in the URL"),
  servicefile: refused("name host and database in the URL"),
  requirepeer: refused("the owner of a socket is not checked"),
  scram_client_key: refused(inUrl),
  scram_server_key: refused(inUrl),
  oauth_issuer: refused(inUrl),
  oauth_client_id: refused(inUrl),
  oauth_client_secret: refused(inUrl),
  oauth_scope: refused(inUrl),
  gssencmode: honoured(`disable or prefer, because ${noGss}`, (value) =>
    value === "disable" || value === "prefer" ? {} : null
  ),
  krbsrvname: refused(noGss),
  gsslib: refused(noGss),
  gssdelegation: only("0")
}
