import { Context, Duration } from "effect"

/** The maximum body of one order, in bytes; a larger one is answered 413. 64 KiB by default. */
export const MaxBodyBytes = Context.Reference<number>("order-platform/infrastructure/http/MaxBodyBytes", {
  defaultValue: () => 65_536
})

/** The maximum body of a bulk request, in bytes; a larger one is answered 413. 8 MiB by default. */
export const MaxBulkBodyBytes = Context.Reference<number>(
  "order-platform/infrastructure/http/MaxBulkBodyBytes",
  { defaultValue: () => 8_388_608 }
)

/** A request that takes longer is interrupted and answered 503. 15 s by default. */
export const RequestTimeout = Context.Reference<Duration.Duration>(
  "order-platform/infrastructure/http/RequestTimeout",
  { defaultValue: () => Duration.seconds(15) }
)
