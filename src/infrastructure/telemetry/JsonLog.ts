import { Array, Cause, Formatter, type LogLevel, Logger, References } from "effect"

interface Line {
  readonly time: Date
  readonly level: LogLevel.LogLevel
  readonly message: unknown
  readonly cause?: Cause.Cause<unknown>
  readonly annotations?: Readonly<Record<string, unknown>>
}

/**
 * A log line as one flat JSON object: time, level, message, the annotations (`orderId` and `correlationId` first), and
 * `error` if there is a cause.
 */
export const jsonLine = ({ annotations = {}, cause = Cause.empty, level, message, time }: Line): string => {
  const head = {
    time: time.toISOString(),
    level: level.toUpperCase(),
    message: Array.ensure(message).map(textOf).join(" ")
  }
  const { correlationId, orderId, ...rest } = annotations
  const error = cause.reasons.length > 0 ? { error: Cause.pretty(cause) } : {}
  // `head` is repeated so that no annotation replaces its members.
  return Formatter.formatJson({ ...head, orderId, correlationId, ...rest, ...head, ...error })
}

/** Formats log lines as `jsonLine` does. */
export const jsonLog = Logger.make(({ cause, date, fiber, logLevel, message }) =>
  jsonLine({
    time: date,
    level: logLevel,
    message,
    cause,
    annotations: fiber.getRef(References.CurrentLogAnnotations)
  })
)

const textOf = (part: unknown): string => (typeof part === "string" ? part : Formatter.formatJson(part))
