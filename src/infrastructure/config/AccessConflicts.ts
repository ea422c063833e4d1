import { Option, Redacted } from "effect"
import { isLoopback } from "./Loopback.ts"
import type { NamedSecret } from "./NamedSecrets.ts"

type Keys = Option.Option<Redacted.Redacted<ReadonlyArray<NamedSecret>>>

interface AccessSettings {
  readonly server: { readonly host: string }
  readonly auth: { readonly clientKeys: Keys; readonly operatorKeys: Keys; readonly disabled: boolean }
}

/**
 * The conflicts between access settings, one sentence for each conflict. Each setting is valid by itself.
 * `named` returns the key of a setting, followed by the place where its value was given.
 */
export const accessConflicts = (
  { auth, server }: AccessSettings,
  named: (key: string) => string
): ReadonlyArray<string> => {
  const both = `${named("auth.clientKeys")} and ${named("auth.operatorKeys")}`
  const clients = keysOf(auth.clientKeys)
  const operators = keysOf(auth.operatorKeys)
  const keys = [...clients, ...operators]
  const [inBoth] = clients.filter(({ name }) => operators.some((operator) => operator.name === name))
  const shared = keys.flatMap(({ name, secret }, index) =>
    keys.slice(0, index).flatMap((other) => (other.secret === secret ? [[other.name, name]] : []))
  )[0]
  return [
    ...(auth.disabled || keys.length > 0 || isLoopback(server.host)
      ? []
      : [
          `${named("server.host")} is "${server.host}": without authentication (auth.clientKeys, auth.operatorKeys) it ` +
            `must be a loopback address (127.0.0.0/8, ::1 or localhost), unless auth.disabled (AUTH_DISABLED) is true.`
        ]),
    ...(auth.disabled && keys.length > 0
      ? [
          `${named("auth.disabled")} is true although there are keys in ${both}: remove the keys, or set auth.disabled to false.`
        ]
      : []),
    ...(inBoth === undefined
      ? []
      : [`${both} both contain the name ${inBoth.name}: a name can have only one role.`]),
    ...(shared === undefined || inBoth !== undefined
      ? []
      : [`${both}: ${shared.join(" and ")} have the same secret: each name needs a different one.`])
  ]
}

const keysOf = Option.match({
  onNone: (): ReadonlyArray<NamedSecret> => [],
  onSome: (keys: Redacted.Redacted<ReadonlyArray<NamedSecret>>) => Redacted.value(keys)
})
