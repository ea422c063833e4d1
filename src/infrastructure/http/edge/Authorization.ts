import { Option } from "effect"
import { Forbidden, Unauthorized } from "../../../contract/RequestErrors.ts"
import type { Caller, Role } from "./Caller.ts"

/**
 * Refuses a caller without the role `needed`; null lets every caller pass. The operator's role includes the client's.
 */
export const authorize = (
  needed: Role | null,
  open: boolean,
  caller: Option.Option<Caller>
): Unauthorized | Forbidden | null => {
  if (needed === null || open) return null
  if (Option.isNone(caller)) return new Unauthorized()
  const { role } = caller.value
  if (role === needed || role === "operator") return null
  return new Forbidden({
    message: `This endpoint requires the role ${needed}; the key has the role ${role}.`
  })
}
