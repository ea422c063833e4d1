import { type DateTime, Effect } from "effect"
import type { Operator } from "../../domain/Audit.ts"
import { cleanReason } from "../../domain/Failure.ts"
import { ControlStore } from "../ports/ControlStore.ts"
import { checkScope, type Scope } from "./Scope.ts"

/** What to pause, and why. */
export interface PauseRequest extends Scope {
  /** Shown in explanations of why an order waits; cleaned (`cleanReason` in domain/Failure.ts). */
  readonly reason: string
  /** When the pause ends by itself; only a resume ends it if absent. */
  readonly resumeAt?: DateTime.Utc
}

/** Pauses a scope in every process. Running attempts are not affected. Replaces an earlier pause of the same scope. */
export const pauseWorkers = Effect.fn("PauseWorkers")(function* (request: PauseRequest, operator?: Operator) {
  const store = yield* ControlStore
  const scope = yield* checkScope(request)
  const pause = { ...scope, reason: cleanReason(request.reason), resumeAt: request.resumeAt ?? null }
  yield* store.pause(pause, operator)
})
