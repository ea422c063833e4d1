import { Redacted, Result } from "effect"
import type { DatabaseAddress, Draft, Tls, Verification } from "./DatabaseAddress.ts"
import { parameters } from "./DatabaseUrlParameters.ts"

const form =
  /^postgres(?:ql)?:\/\/(?:(?<user>[^:@/?]*)(?::(?<password>[^@/?]*))?@)?(?<hosts>[^/?]*)(?:\/(?<database>[^?]*))?(?:\?(?<query>.*))?$/s

const decoded = (text: string): string | null => {
  try {
    const value = decodeURIComponent(text)
    return value.includes("\0") ? null : value
  } catch {
    return null
  }
}

const badEncoding = "has invalid percent-encoding"

/** The part of a URL between `@` and the database: one host, or none. */
const hostOf = (hosts: string): Result.Result<Draft, string> => {
  if (hosts.includes(","))
    return Result.fail("names several hosts: name one address that leads to the primary")
  const [, inBrackets, plain = "", port = ""] = /^(?:\[([^\]]+)\]|([^:[\]]*))(?::(\d*))?$/.exec(hosts) ?? []
  if (inBrackets === undefined && plain === "" && hosts !== "" && port === "")
    return Result.fail(
      `has the host "${hosts}": it must be a name or an address (IPv6 in brackets), optionally with a port`
    )
  const host = inBrackets ?? decoded(plain)
  if (host === null) return Result.fail(badEncoding)
  const isPort = port === "" || (Number(port) >= 1 && Number(port) <= 65_535)
  if (!isPort) return Result.fail(`has the port ${port}: it must be from 1 to 65535`)
  return Result.succeed({ ...(host !== "" && { host }), ...(port !== "" && { port: Number(port) }) })
}

const parameter = (text: string): Result.Result<Draft, string> => {
  const at = text.indexOf("=")
  const name = decoded(at < 0 ? text : text.slice(0, at))
  const value = decoded(at < 0 ? "" : text.slice(at + 1))
  if (name === null || value === null) return Result.fail(badEncoding)
  const known = Object.hasOwn(parameters, name) ? parameters[name] : undefined
  if (known === undefined) return Result.fail(`has the parameter ${name}, which is unknown`)
  if ("refused" in known)
    return Result.fail(`has the parameter ${name}, which is not supported: ${known.refused}`)
  const taken = known.takes(value)
  if (taken !== null) return Result.succeed(taken)
  const shown = known.secret === true ? "" : `=${value}`
  return Result.fail(`has ${name}${shown}: ${name} must be ${known.allowed}`)
}

/**
 * The TLS options that follow from all parameters. Contradictions are refused, so that no connection is
 * unencrypted by mistake.
 */
const tlsOf = (draft: Draft, host: string): Result.Result<Tls | null, string> => {
  const { certificate, key, maxVersion, minVersion, passphrase, revoked, rootCertificate, ssl, sslmode } =
    draft
  if (ssl !== undefined && sslmode !== undefined && ssl !== (sslmode !== "disable"))
    return Result.fail(`has ssl=${ssl} and sslmode=${sslmode}, which contradict each other`)
  const mode =
    sslmode ??
    (ssl === true ? "require" : rootCertificate === "system" && ssl !== false ? "verify-full" : "disable")
  const more = { certificate, key, maxVersion, minVersion, passphrase, revoked, rootCertificate }
  const needsTls = Object.values(more).some((value) => value !== undefined)
  if (mode === "disable")
    return needsTls
      ? Result.fail("has parameters for TLS, but TLS is off: add sslmode=require, verify-ca or verify-full")
      : Result.succeed(null)
  if (host.startsWith("/"))
    return Result.fail("asks for TLS on a Unix socket, which has none: leave sslmode and ssl out")
  if (rootCertificate === "system" && mode !== "verify-full")
    return Result.fail(`has sslrootcert=system with sslmode=${mode}: it needs sslmode=verify-full`)
  if ((certificate === undefined) !== (key === undefined))
    return Result.fail("has one of sslcert and sslkey: a client certificate needs both")
  // As in libpq, a root certificate turns require into verify-ca.
  const verify: Verification =
    mode === "verify-full"
      ? "issuer and name"
      : mode === "verify-ca" || rootCertificate !== undefined
        ? "issuer"
        : "none"
  const given = Object.fromEntries(Object.entries(more).filter(([, value]) => value !== undefined))
  return Result.succeed({ verify, ...given })
}

/**
 * Parses a connection URL as libpq does (PostgreSQL documentation, "Connection URIs" and "Parameter Key Words").
 * Refuses parameters that this program does not support. The failure is the rest of a sentence that begins with the
 * name of the setting.
 */
export const parseDatabaseUrl = (url: string): Result.Result<DatabaseAddress, string> =>
  Result.gen(function* () {
    const parts = form.exec(url)?.groups
    if (parts === undefined)
      return yield* Result.fail("is not a URL like postgres://user:password@host:5432/name")
    const [user, password, database] = [parts["user"], parts["password"], parts["database"]].map((part) =>
      decoded(part ?? "")
    )
    if (user === null || password === null || database === null) return yield* Result.fail(badEncoding)
    let draft: Draft = {
      ...(yield* hostOf(parts["hosts"] ?? "")),
      ...(user && { user }),
      ...(password && { password: Redacted.make(password) }),
      ...(database && { database })
    }
    const given = (parts["query"] ?? "").split("&").filter((text) => text !== "")
    for (const text of given) draft = { ...draft, ...(yield* parameter(text)) }
    const { host = draft.address ?? "localhost", port } = draft
    const tls = yield* tlsOf(draft, host)
    const name = host.includes(":") ? `[${host}]` : host
    return {
      ...pickAddress(draft),
      host,
      port: port ?? 5432,
      tls,
      shown: `${name}${port === undefined ? "" : `:${port}`}/${draft.database ?? draft.user ?? ""}`
    }
  })

const pickAddress = ({
  address,
  applicationName,
  connectTimeout,
  database,
  keepAlive,
  options,
  password,
  user
}: Draft) => ({
  ...(address !== undefined && { address }),
  ...(applicationName !== undefined && { applicationName }),
  ...(connectTimeout !== undefined && { connectTimeout }),
  ...(database !== undefined && { database }),
  ...(keepAlive !== undefined && { keepAlive }),
  ...(options !== undefined && { options }),
  ...(password !== undefined && { password }),
  ...(user !== undefined && { user })
})
