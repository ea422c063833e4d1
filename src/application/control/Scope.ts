import { Effect, Schema } from "effect"
import { Lane } from "../../domain/Lane.ts"
import type { PauseScope } from "../../domain/Pauses.ts"

/** What a pause covers: all orders, those of one type, of one group, or of one group within one type. */
export interface Scope {
  readonly type?: string
  readonly group?: string
}

const decode = Schema.decodeUnknownEffect(Lane, { errors: "all" })

/** The scope of the call; fails with `SchemaError` if no order can have this type or group. */
export const checkScope = (scope: Scope): Effect.Effect<PauseScope, Schema.SchemaError> =>
  Effect.map(decode({ type: scope.type, group: scope.group }), ({ group = null, type = null }) => ({
    type,
    group
  }))
