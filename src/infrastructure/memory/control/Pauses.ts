import { DateTime } from "effect"
import { covers, isInForce, type Pause, type PauseScope } from "../../../domain/Pauses.ts"
import { byCodePoint } from "../ByCodePoint.ts"

const nameOf = ({ group, type }: PauseScope) => JSON.stringify([type, group])

const oldestFirst = (a: Pause, b: Pause) =>
  DateTime.Order(a.since, b.since) || byCodePoint(a.type, b.type) || byCodePoint(a.group, b.group)

/** At most one pause of each scope. */
export const makePauses = () => {
  const pauses = new Map<string, Pause>()

  /** The pauses in force, oldest first; of the same age, those of all types and of all groups first. */
  const inForce = (at: DateTime.Utc): ReadonlyArray<Pause> =>
    Array.from(pauses.values())
      .filter((pause) => isInForce(pause, at))
      .sort(oldestFirst)

  return {
    inForce,
    /** The pauses in force that cover orders of this type and group, oldest first. */
    over: (order: PauseScope, at: DateTime.Utc): ReadonlyArray<Pause> =>
      pauses.size === 0 ? [] : inForce(at).filter((pause) => covers(pause, order)),
    /** Replaces the pause of the same scope, and keeps its `since` if it is still in force. */
    set: (pause: Pause) => {
      const before = pauses.get(nameOf(pause))
      for (const [name, other] of pauses) if (!isInForce(other, pause.since)) pauses.delete(name)
      const since = before !== undefined && isInForce(before, pause.since) ? before.since : pause.since
      pauses.set(nameOf(pause), { ...pause, since })
    },
    /** Ends the pause of exactly this scope, and returns whether it was in force. */
    end: (scope: PauseScope, at: DateTime.Utc): boolean => {
      const before = pauses.get(nameOf(scope))
      pauses.delete(nameOf(scope))
      return before !== undefined && isInForce(before, at)
    }
  }
}
