import { Context, Duration, Effect, Schedule } from "effect"

/** How long a start waits for a database that does not respond yet; 30 seconds by default. */
export const StartTimeout = Context.Reference<Duration.Duration>(
  "order-platform/infrastructure/postgres/StartTimeout",
  { defaultValue: () => Duration.seconds(30) }
)

/** The schedule of retries at start: every 500 ms until `StartTimeout`. */
export const retryStart = Effect.map(StartTimeout, (duration) => {
  const again = Schedule.spaced("500 millis")
  return Duration.isFinite(duration) ? again.pipe(Schedule.upTo({ duration })) : again
})
