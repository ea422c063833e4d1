import { Context, type Duration } from "effect"
import type { RetryPolicy } from "./RetryPolicy.ts"

/** The name of the type of an order that is submitted without one. */
export const defaultType = "default"

/** Settings of one order type. An absent setting has the value that holds for all types. */
export interface TypeSettings {
  /** The `maxRetries` of an order whose submission does not give it. */
  readonly maxRetries?: number
  readonly retryPolicy?: Partial<RetryPolicy>
  /** An attempt that takes longer is interrupted and fails with `TIMEOUT`. */
  readonly attemptTimeout?: Duration.Duration
  /** The maximum number of concurrent attempts of this type in one process. */
  readonly concurrency?: number
}

/** The settings of types by name, from the configuration. They take precedence over those of the `OrderType`. */
export const SettingsOfTypes = Context.Reference<Readonly<Record<string, TypeSettings>>>(
  "order-platform/domain/SettingsOfTypes",
  { defaultValue: () => ({}) }
)
