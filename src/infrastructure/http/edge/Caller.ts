import { Context, Option, Redacted } from "effect"
import { createHash, timingSafeEqual } from "node:crypto"

/** What a key may do: a client everything under `/orders`, an operator that and everything else. */
export type Role = "client" | "operator"

/** Who sent a request: the name its key was given in the settings, and what that key may do. */
export interface Caller {
  readonly name: string
  readonly role: Role
}

/** A key of one caller. */
export interface ApiKey {
  readonly name: string
  readonly secret: Redacted.Redacted
}

/** The keys of this server. Without any, as in an app that provides none, everyone may call everything. */
export const ApiKeys = Context.Reference<{
  readonly clients: ReadonlyArray<ApiKey>
  readonly operators: ReadonlyArray<ApiKey>
}>("order-platform/infrastructure/http/ApiKeys", { defaultValue: () => ({ clients: [], operators: [] }) })

/** Whether the server has no keys, so that everyone may call everything. */
export const isOpen = ({ clients, operators }: typeof ApiKeys.Service): boolean =>
  clients.length + operators.length === 0

const bearer = /^Bearer +([!-~]+) *$/i

const digestOf = (text: string) => createHash("sha256").update(text).digest()

/**
 * Finds the caller of a request by its header `Authorization: Bearer <secret>` (RFC 6750). The time that takes reveals
 * nothing of a secret: digests of one length are compared in constant time, and always all of them.
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
