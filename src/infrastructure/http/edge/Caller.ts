import { Context, Option, Redacted } from "effect"
import { createHash, timingSafeEqual } from "node:crypto"

/** The role of a key: a client may call everything under `/orders`, an operator every endpoint. */
export type Role = "client" | "operator"

/** The sender of a request: the name of its key in the settings, and the role of that key. */
export interface Caller {
  readonly name: string
  readonly role: Role
}

/** A key of one caller. */
export interface ApiKey {
  readonly name: string
  readonly secret: Redacted.Redacted
}

/** The keys of this server; none by default. Without keys every caller may call every endpoint. */
export const ApiKeys = Context.Reference<{
  readonly clients: ReadonlyArray<ApiKey>
  readonly operators: ReadonlyArray<ApiKey>
}>("order-platform/infrastructure/http/ApiKeys", { defaultValue: () => ({ clients: [], operators: [] }) })

/** Whether the server has no keys, so that every caller may call every endpoint. */
export const isOpen = ({ clients, operators }: typeof ApiKeys.Service): boolean =>
  clients.length + operators.length === 0

const bearer = /^Bearer +([!-~]+) *$/i

const digestOf = (text: string) => createHash("sha256").update(text).digest()

/**
 * Finds the caller of a request by its header `Authorization: Bearer <secret>` (RFC 6750). The duration of
 * the search reveals nothing about a secret: all digests, which have the same length, are compared in
 * constant time.
 */
export const makeFindCaller = ({ clients, operators }: typeof ApiKeys.Service) => {
  const known = (keys: ReadonlyArray<ApiKey>, role: Role) =>
    keys.map(({ name, secret }) => ({ digest: digestOf(Redacted.value(secret)), caller: { name, role } }))
  const keys = [...known(clients, "client"), ...known(operators, "operator")]

  return (authorization: string | undefined): Option.Option<Caller> => {
    const sent = keys.length === 0 ? undefined : bearer.exec(authorization ?? "")?.[1]
    if (sent === undefined) return Option.none()
    const digest = digestOf(sent)
    let caller = Option.none<Caller>()
    for (const key of keys) if (timingSafeEqual(key.digest, digest)) caller = Option.some(key.caller)
    return caller
  }
}
