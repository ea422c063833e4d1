import { Context, Duration } from "effect"

/** How a submitter makes a call safe to repeat: whoever repeats it with the same key gets the first answer again. */
export interface Idempotency {
  /** 1 to 255 printable ASCII characters, made up by the submitter, one for each thing it wants to happen once. */
  readonly key: string
  /** Where the key is unique, such as the caller and the call; at most 255 characters. Keys of an embedding app have one of their own. */
  readonly scope?: string
}

/** The answer to a call with a key, and whether it is that of an earlier call. */
export interface Replayable<A> {
  readonly answer: A
  readonly replayed: boolean
}

/** How long an answer is kept for whoever repeats its call; then its key is free again. A day by default. */
export const IdempotencyTtl = Context.Reference<Duration.Duration>(
  "order-platform/application/IdempotencyTtl",
  {
    defaultValue: () => Duration.days(1)
  }
)

/**
 * The fingerprint of a request: of what was asked for as it was sent, and of the same with the defaults of then written
 * out. Defaults are settings and may change while an answer is kept.
 */
export const fingerprint = (sent: string, resolved: string): string => `${sent} ${resolved}`

/** Whether two requests are the same: they said the same, or what they said comes to the same. */
export const isSameRequest = (a: string, b: string): boolean => {
  const others = b.split(" ")
  return a.split(" ").some((part, place) => part === others[place])
}
