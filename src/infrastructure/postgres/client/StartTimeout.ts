import { Context, Duration, Effect, Schedule } from "effect"

/** How long a start waits for a database that does not answer yet; 30 seconds by default. */
export const StartTimeout = Context.Reference<Duration.Duration>(
  "order-platform/infrastructure/postgres/StartTimeout",
  { defaultValue: () => Duration.seconds(30) }
)

/** When a start tries again. */
export const retryStart = Effect.map(StartTimeout, (duration) => {
  const again = Schedule.spaced("500 millis")
  return Duration.isFinite(duration) ? again.pipe(Schedule.upTo({ duration })) : again
})
