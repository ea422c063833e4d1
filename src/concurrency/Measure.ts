import { Clock, Context, Effect, Metric } from "effect"

/** Upper bounds in seconds, from a millisecond to five minutes. */
const boundaries = Metric.boundariesFromIterable([
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300
])

/** A counter that only goes up. */
export const counter = (name: string, description: string) =>
  Metric.counter(name, { description, incremental: true })

/** A histogram of seconds. */
export const secondsHistogram = (name: string, description: string) =>
  Metric.histogram(name, { description, boundaries })

/** One metric for each value of the label. */
export const withLabel = <Input, State>(
  metric: Metric.Metric<Input, State>,
  label: string,
  values: ReadonlyArray<string>
): ReadonlyArray<Metric.Metric<Input, State>> =>
  values.map((value) => Metric.withAttributes(metric, { [label]: value }))

/**
 * Registers metrics, so that an unused counter is 0 and not absent. Alerts on the increase of a counter need
 * the initial 0.
 */
export const register = (...metrics: ReadonlyArray<Metric.Metric<never, unknown>>): Effect.Effect<void> =>
  Effect.forEach(metrics, Metric.value, { discard: true })

/** Adds `by` to the counter with these labels. */
export const increment = (metric: Metric.Counter<number>, attributes: Metric.Metric.Attributes, by = 1) =>
  Metric.update(Metric.withAttributes(metric, attributes), by)

/** Records the duration of an effect, whether it succeeds or fails. */
export const timed =
  (metric: Metric.Histogram<number>) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.contextWith((context: Context.Context<R>) => {
      const clock = Context.get(context, Clock.Clock)
      const start = clock.monotonicTimeNanosUnsafe()
      return Effect.onExit(effect, () => {
        metric.updateUnsafe(Number(clock.monotonicTimeNanosUnsafe() - start) / 1e9, context)
        return Effect.void
      })
    })
