import { Context, Option } from "effect"

/** What ties a request, its order, and every log line and trace about them together; none outside a request. */
export const CurrentCorrelationId = Context.Reference<Option.Option<string>>(
  "order-platform/infrastructure/http/CurrentCorrelationId",
  { defaultValue: Option.none }
)
