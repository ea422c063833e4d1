import type { OrderType } from "./OrderType.ts"
import { defaultType } from "./TypeSettings.ts"

/**
 * The order types of an app: a parameter of the HTTP contract, the platform and the worker. `T` has the decoded payload
 * of each type under its name, for example `{ invoice: Invoice; email: Email }`.
 */
export interface OrderTypes<out T> {
  /** Exists only for the compiler, as in `OrderPlatform<typeof types.Payloads>`, and not at run time. */
  readonly Payloads: T
  /** A part of the service keys for these types; unique in the process. */
  readonly key: string
  readonly members: ReadonlyArray<AnyOrderType>
  /** The names of the types; null if orders of every name have the only type. */
  readonly names: ReadonlyArray<string> | null
  /** The type of a submission that does not name one; null if each submission must name its type. */
  readonly nameIfOmitted: string | null
}

/** An order type with any name and payload. */
export type AnyOrderType = OrderType<string, any>

/** The payload of each of these order types by its name. */
export type PayloadsOf<Member extends AnyOrderType> = {
  readonly [M in Member as M["name"]]: M["schema"]["Type"]
}

// The only name, or never if there are several.
type OnlyName<N extends string, All = N> = N extends unknown ? ([All] extends [N] ? N : never) : never

/**
 * The payload of an order, with the name of its type. The name may be omitted for the only type of a set, and for the
 * type `default`.
 */
export type TypedPayload<T> = {
  [N in keyof T & string]: N extends OnlyName<keyof T & string> | typeof defaultType
    ? { readonly type?: N; readonly payload: T[N] }
    : { readonly type: N; readonly payload: T[N] }
}[keyof T & string]

/**
 * The set of these order types. The sequence of the types does not matter. Throws an error if two of them have the same
 * name.
 */
const make = <const Members extends readonly [AnyOrderType, ...ReadonlyArray<AnyOrderType>]>(
  ...members: Members
): OrderTypes<PayloadsOf<Members[number]>> => {
  const names = members.map(({ name }) => name)
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) throw new Error(`Two order types of a set have the name "${twice}".`)
  if (members.length > 1 && members.some((member) => member.names === null))
    throw new Error("A type for orders of every name cannot be in a set with other types.")
  const types: Omit<OrderTypes<unknown>, "Payloads"> = members.length === 1
    ? members[0]
    : {
        key: members
          .map(({ key }) => key)
          .toSorted()
          .join("+"),
        members,
        names,
        nameIfOmitted: names.includes(defaultType) ? defaultType : null
      }
  return types as OrderTypes<PayloadsOf<Members[number]>>
}

export const OrderTypes = { make }

/** Finds the type with a name; undefined if the set has none. */
export const finder = <A>(
  { members, names }: Pick<OrderTypes<unknown>, "members" | "names">,
  valueOf: (member: AnyOrderType) => A
): ((name: string) => A | undefined) => {
  const values = members.map((member) => [member.name, valueOf(member)] as const)
  if (names === null) return () => values[0]?.[1]
  const byName = new Map(values)
  return (name) => byName.get(name)
}
