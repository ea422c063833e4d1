import type { Contender } from "./Contenders.ts"
import type { IdleFigures } from "./Idle.ts"
import type { LimitFigures } from "./Pgbench.ts"
import type { Plan } from "./Plan.ts"
import type { Figures } from "./Round.ts"
import type { SoakFigures } from "./Soak.ts"
import { spreadOf, type Spread } from "./Statistics.ts"

/** All measurements. */
export interface Outcome {
  readonly plan: Plan
  readonly contenders: ReadonlyArray<Contender>
  /** By contender name, one per round. */
  readonly rounds: ReadonlyMap<string, ReadonlyArray<Figures>>
  readonly idle: ReadonlyMap<string, IdleFigures>
  readonly limit: ReadonlyArray<LimitFigures>
  readonly soak: SoakFigures
}

/** One figure of a contender over all rounds. */
export const over = (
  outcome: Outcome,
  contender: Contender | undefined,
  what: keyof Figures
): Spread | null =>
  spreadOf(
    (outcome.rounds.get(contender?.name ?? "") ?? [])
      .flatMap((figures) => figures[what] ?? [])
      .filter(Number.isFinite)
  )

/** The best median among the peers. */
export const bestPeer = (
  outcome: Outcome,
  what: keyof Figures,
  better: "higher" | "lower"
): { readonly name: string; readonly value: number } => {
  const all = outcome.contenders
    .filter(({ kind }) => kind === "peer")
    .map((contender) => ({ name: contender.name, value: over(outcome, contender, what)?.median ?? NaN }))
    .filter(({ value }) => Number.isFinite(value))
    .sort((a, b) => (better === "higher" ? b.value - a.value : a.value - b.value))
  return all[0] ?? { name: "no peer", value: NaN }
}
