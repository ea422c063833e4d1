import { Effect } from "effect"
import type { Operator } from "../../domain/Audit.ts"
import { ControlStore } from "../ports/ControlStore.ts"
import { WakeUp } from "../ports/WakeUp.ts"
import { checkScope, type Scope } from "./Scope.ts"

/** Ends the pause of exactly this scope, if there is one, and wakes the workers after the commit. */
export const resumeWorkers = Effect.fn("ResumeWorkers")(function* (scope: Scope, operator?: Operator) {
  const store = yield* ControlStore
  const wakeUp = yield* WakeUp
  yield* store.resume(yield* checkScope(scope), operator)
  yield* store.afterCommit(wakeUp.announce(1))
})
