import { bestPeer, type Outcome, over } from "./Outcome.ts"
import type { Figures } from "./Round.ts"
import { figure, median } from "./Statistics.ts"

/** A performance target and its measurement. */
export interface Target {
  readonly what: string
  readonly target: string
  readonly measured: string
  readonly met: boolean | null
}

const target = (
  what: string,
  target: string,
  value: number,
  met: (value: number) => boolean,
  detail = ""
): Target => ({
  what,
  target,
  measured: `${figure(value)}${detail}`,
  met: Number.isFinite(value) ? met(value) : null
})

const atLeast = (what: string, value: number, min: number, detail: string) =>
  target(what, `≥ ${min}`, value, (value) => value >= min, detail)
const atMost = (what: string, value: number, max: number, detail: string) =>
  target(what, `≤ ${max}`, value, (value) => value <= max, detail)

/** The targets, measured on the program with its defaults (queue memory). */
export const targets = (outcome: Outcome): ReadonlyArray<Target> => {
  const product = outcome.contenders.find(
    ({ kind, settledBefore }) => kind === "product" && settledBefore === undefined
  )
  const grown = outcome.contenders.find(({ settledBefore }) => settledBefore !== undefined)
  const memory = outcome.contenders.find(({ kind }) => kind === "memory")
  const own = (what: keyof Figures) => over(outcome, product, what)?.median ?? NaN
  const of = (contender: typeof product, what: keyof Figures) => over(outcome, contender, what)?.median ?? NaN
  const versus = (what: keyof Figures, better: "higher" | "lower") => {
    const best = bestPeer(outcome, what, better)
    return {
      ratio: own(what) / best.value,
      detail: ` × ${best.name} (${figure(own(what))} : ${figure(best.value)})`
    }
  }
  const accepted = versus("acceptedPerSecond", "higher")
  const finished = versus("endToEndPerSecond", "higher")
  const latency = versus("acceptP99", "lower")
  const drain = versus("drainPerSecond", "higher")
  const pickUp50 = versus("pickUpP50", "lower")
  const pickUp99 = versus("pickUpP99", "lower")
  const life = median(outcome.limit.map(({ lifePerSecond }) => lifePerSecond))
  const memoryRatio = (what: keyof Figures) => own(what) / of(memory, what)
  const { soak } = outcome
  const secondsOf = `${outcome.plan.soakMs / 1000} s soak`
  return [
    atLeast("accepted/s, worker on", accepted.ratio, 5, accepted.detail),
    atLeast(
      "accepted/s against memory adapters",
      memoryRatio("acceptedPerSecond"),
      0.8,
      ` × ${figure(of(memory, "acceptedPerSecond"))}`
    ),
    atLeast("end to end/s", finished.ratio, 5, finished.detail),
    atLeast(
      "end to end/s against memory adapters",
      memoryRatio("endToEndPerSecond"),
      0.8,
      ` × ${figure(of(memory, "endToEndPerSecond"))}`
    ),
    atMost("accept latency p99", latency.ratio, 0.5, latency.detail),
    atLeast(`drain of ${figure(outcome.plan.backlog)}`, drain.ratio, 2.4, drain.detail),
    atLeast("drain against pgbench's batched life", own("drainPerSecond") / life, 0.7, ` × ${figure(life)}`),
    atMost("pick-up p50", pickUp50.ratio, 1, pickUp50.detail),
    atMost("pick-up p99", pickUp99.ratio, 1, pickUp99.detail),
    ...(grown === undefined
      ? []
      : (["acceptedPerSecond", "endToEndPerSecond"] as const).map((what) =>
          atLeast(
            `${what === "acceptedPerSecond" ? "accepted/s" : "end to end/s"} with ${outcome.plan.millions} million final orders`,
            of(grown, what) / own(what),
            0.85,
            ` × the empty table (${figure(of(grown, what))} : ${figure(own(what))})`
          )
        )),
    atMost(
      `${secondsOf}: worst second's p99 against the median second's`,
      soak.worstP99 / soak.medianP99,
      5,
      ` × ${figure(soak.medianP99)} ms`
    ),
    atMost(
      `${secondsOf}: RSS at the end against the beginning`,
      soak.rssLast / soak.rssFirst,
      1.1,
      ` × ${figure(soak.rssFirst)} MB`
    ),
    target(
      `${secondsOf}: backlog bounded`,
      "≤ 1 s of orders, not growing",
      soak.backlogHighest,
      () => {
        const second = soak.load.accepted / soak.load.seconds
        return (
          soak.backlogHighest <= second && soak.backlogLast <= Math.max(2 * soak.backlogFirst, 0.1 * second)
        )
      },
      ` at most (mean of the first third ${figure(soak.backlogFirst)}, of the last ${figure(soak.backlogLast)})`
    ),
    atLeast(`${secondsOf}: UPDATEs of orders that change no index (HOT), %`, 100 * soak.hotShare, 99, ""),
    atMost("RSS loaded, MB", own("rssLoaded"), 250, ""),
    target(
      "statements in an idle minute",
      "< 120",
      outcome.idle.get(product?.name ?? "")?.statementsPerMinute ?? NaN,
      (value) => value < 120
    )
  ]
}
