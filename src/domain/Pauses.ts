import { DateTime } from "effect"

/**
 * What a pause covers: all orders, one type, one group, or one group within one type. Null means every type or every
 * group.
 */
export interface PauseScope {
  readonly type: string | null
  readonly group: string | null
}

/** Orders in the scope are not started while the pause is in force. Running attempts are not affected. */
export interface Pause extends PauseScope {
  readonly reason: string
  /** Who paused: the name of the caller's key; null if the server has no keys. */
  readonly by: string | null
  readonly since: DateTime.Utc
  /** When the pause ends by itself; null if only a resume ends it. */
  readonly resumeAt: DateTime.Utc | null
}

/** Whether the pause covers orders of this type and group. */
export const covers = (pause: PauseScope, order: PauseScope): boolean =>
  (pause.type === null || pause.type === order.type) && (pause.group === null || pause.group === order.group)

/** Whether the scope is all orders. */
export const coversAll = ({ group, type }: PauseScope): boolean => type === null && group === null

/** Whether the pause is in force at this time. */
export const isInForce = ({ resumeAt }: Pause, at: DateTime.Utc): boolean =>
  resumeAt === null || DateTime.isGreaterThan(resumeAt, at)

/** The name of a scope: `everything`, `type invoice`, `group acme`, `type invoice in group acme`. */
export const scopeName = ({ group, type }: PauseScope): string => {
  if (type === null) return group === null ? "everything" : `group ${group}`
  return group === null ? `type ${type}` : `type ${type} in group ${group}`
}
