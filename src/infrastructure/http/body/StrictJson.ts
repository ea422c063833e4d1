import { Effect, Schema } from "effect"
import type { RequestIssue } from "../../../contract/RequestErrors.ts"
import { inexactNumber } from "./ParseJson.ts"
import { requestIssues } from "./RequestIssues.ts"

/** The maximum nesting of arrays and objects. */
const maxNesting = 64

/** The maximum number of issues collected, about as many as fit into a problem. */
const maxIssues = 1000

const issueOf = (value: unknown): string | null => {
  if (typeof value === "string") return issueOfText(value)
  if (typeof value !== "number") return null
  if (!Number.isFinite(value)) return "This number is too large"
  return Number.isInteger(value) && !Number.isSafeInteger(value)
    ? "An integer beyond 2^53 - 1 loses digits; send it as a string"
    : null
}

const issueOfText = (text: string): string | null => {
  if (text.includes("\u0000")) {
    const number = inexactNumber(text)
    return number === undefined
      ? "U+0000 cannot be stored"
      : `This number would be stored as ${Number(number)}; send it as a string to keep every digit`
  }
  return text.isWellFormed() ? null : "A lone surrogate is not Unicode text and cannot be stored"
}

/** The issues of a JSON value that do not depend on its schema. */
interface StrictJsonFindings {
  readonly issues: ReadonlyArray<RequestIssue>
  /** Whether the value is nested too deep; if so, it must not be passed to a recursive function. */
  readonly tooDeep: boolean
}

/**
 * Finds what JSON allows but cannot be stored unchanged. PostgreSQL's jsonb has no U+0000 and no lone surrogates,
 * JavaScript has only doubles, with safe integers up to 2^53 - 1, and unlimited nesting could exhaust the stack.
 */
export const strictJson = (json: unknown): StrictJsonFindings => {
  const issues: Array<RequestIssue> = []
  const path: Array<string | number> = []
  let tooDeep = false

  const report = (message: string | null) => {
    if (message !== null && issues.length < maxIssues) issues.push({ in: "body", path: [...path], message })
  }
  const enter = (key: string | number, value: unknown) => {
    path.push(key)
    visit(value)
    path.pop()
  }
  const visit = (value: unknown): void => {
    report(issueOf(value))
    if (typeof value !== "object" || value === null) return
    if (path.length >= maxNesting) {
      tooDeep = true
      report(`Nested deeper than ${maxNesting} levels`)
    } else if (Array.isArray(value)) {
      value.forEach((element, index) => enter(index, element))
    } else {
      for (const [key, member] of Object.entries(value)) {
        const message = issueOfText(key)
        if (message === null) enter(key, member)
        else if (issues.length < maxIssues) {
          // The path shows the wrong key with replacement characters.
          issues.push({ in: "body", path: [...path, cleanText(key)], message: `In a key: ${message}` })
        }
      }
    }
  }

  visit(json)
  return { issues, tooDeep }
}

const cleanText = (text: string) => text.replaceAll("\u0000", "\uFFFD").toWellFormed()

interface Place extends Map<string | number, Place> {}

// A tree of the paths that have an issue. One string for each path would need too much memory if many paths
// are long.
const placesOf = (issues: ReadonlyArray<RequestIssue>) => {
  const root: Place = new Map()
  const ends = new Set<Place>()
  for (const { path } of issues) {
    let place = root
    for (const segment of path) {
      const next: Place = place.get(segment) ?? new Map()
      place.set(segment, next)
      place = next
    }
    ends.add(place)
  }
  return (path: RequestIssue["path"]): boolean => {
    let place: Place | undefined = root
    for (const segment of path) place = place?.get(segment)
    return place !== undefined && ends.has(place)
  }
}

/** Decodes JSON, or fails with every issue at once. */
export type DecodeJson<A> = (json: unknown) => Effect.Effect<A, ReadonlyArray<RequestIssue>>

/**
 * Decodes JSON by a schema and refuses unknown keys. Fails with every issue at once: those of the schema and, if
 * `deep`, those of {@link strictJson}.
 */
export const decodeStrictly = <A, I>(schema: Schema.Codec<A, I>, { deep = true } = {}): DecodeJson<A> => {
  const decode = Schema.decodeUnknownEffect(schema, {
    errors: "all",
    onExcessProperty: "error",
    reportInput: true
  })
  return (json) => {
    const { issues, tooDeep } = deep ? strictJson(json) : { issues: [], tooDeep: false }
    if (tooDeep) return Effect.fail(issues)
    return Effect.matchEffect(decode(json), {
      onSuccess: (decoded) => (issues.length > 0 ? Effect.fail(issues) : Effect.succeed(decoded)),
      onFailure: (error) => {
        const isReported = placesOf(issues)
        const others = requestIssues("body", error)
        return Effect.fail([...issues, ...others.filter(({ path }) => !isReported(path))])
      }
    })
  }
}
