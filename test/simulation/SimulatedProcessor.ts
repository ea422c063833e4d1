import { Duration, Effect } from "effect"
import {
  type Attempt,
  type AttemptError,
  PermanentFailure,
  RetryableFailure,
  Snooze,
  Writes
} from "../../src/application/ports/OrderProcessor.ts"
import type { OrderId } from "../../src/domain/OrderId.ts"
import type { Behaviour, Plan } from "./Facts.ts"
import { Transaction } from "./Ledger.ts"
import type { payload } from "./Plans.ts"
import { pause } from "./SimulatedPorts.ts"
import type { SimulatedProcess, SimulatedWorld } from "./SimulatedWorld.ts"

type Payload = typeof payload.schema.Type

/** The processor of one worker: each run of an order does what its plan says, in any worker. */
export const processOf =
  (world: SimulatedWorld, process: SimulatedProcess) =>
  (attempt: Attempt<Payload>): Effect.Effect<void | Writes, AttemptError> =>
    Effect.gen(function* () {
      yield* pause(world, process, "before process")
      const { behaviours, writes } = world.plans.get(attempt.orderId) as Plan
      const run = world.runs.get(attempt.orderId) ?? 0
      world.runs.set(attempt.orderId, run + 1)
      const last = behaviours.length - 1
      // When the faults are over, the planned failures are skipped.
      const behaviour = behaviours[world.faultsOver ? last : Math.min(run, last)] as Behaviour
      const { does } = behaviour
      const worker = process.name
      world.facts.push({ fact: "ran", worker, id: attempt.orderId, attempt: attempt.attempt, run, does })
      world.note(`${worker} runs ${attempt.orderId} ${run} ${does}`)
      world.count(`run ${does}`)
      const reason = `run ${run}`
      if (does === "be slow") yield* Effect.sleep(behaviour.millis)
      else if (does === "hang") return yield* Effect.never
      else if (does === "throw") return yield* Effect.die(reason)
      else if (does === "fail permanently") return yield* new PermanentFailure({ reason })
      else if (does === "fail") return yield* new RetryableFailure({ reason })
      else if (does === "fail with delay") {
        const retryIn = Duration.millis(behaviour.millis)
        return yield* new RetryableFailure({ reason: `${reason}, again in ${behaviour.millis}`, retryIn })
      } else if (does === "snooze") {
        const delay = Duration.millis(behaviour.millis)
        return yield* new Snooze({ delay, reason: `${reason}, again in ${behaviour.millis}` })
      }
      yield* pause(world, process, "after process")
      if (writes || does.startsWith("write"))
        return new Writes({ writes: writesOf(world, process, attempt.orderId, behaviour, reason) })
    })

/** Writes two ledger lines that belong together, with faults possible in between. */
const writesOf = (
  world: SimulatedWorld,
  process: SimulatedProcess,
  id: OrderId,
  behaviour: Behaviour,
  reason: string
): Writes["writes"] =>
  Effect.gen(function* () {
    const transaction = (yield* Transaction) ?? world.ledger
    yield* pause(world, process, "before the first line")
    transaction.push({ id, line: "debit" })
    yield* pause(world, process, "between the lines")
    if (behaviour.does === "write and fail") return yield* new RetryableFailure({ reason })
    if (behaviour.does === "write and fail permanently") return yield* new PermanentFailure({ reason })
    if (behaviour.does === "write and snooze") {
      const delay = Duration.millis(behaviour.millis)
      return yield* new Snooze({ delay, reason: `${reason}, again in ${behaviour.millis}` })
    }
    transaction.push({ id, line: "credit" })
    yield* pause(world, process, "after the lines")
  })
