import type { Schema } from "effect"
import { InvalidRequest, type RequestIssue } from "../../../contract/RequestErrors.ts"
import { cutText } from "../../../domain/Failure.ts"
import { validationIssues } from "../../../domain/ValidationIssues.ts"

/** Every issue of a failed decoding, with its path inside this part of the request. */
export const requestIssues = (
  part: RequestIssue["in"],
  error: Schema.SchemaError
): ReadonlyArray<RequestIssue> =>
  validationIssues(error).map(({ message, path }) => ({
    in: part,
    path,
    message: part === "query" ? inQuery(message) : message
  }))

// A parameter that is given twice is decoded from an array.
const inQuery = (message: string): string =>
  message.endsWith(", got an array")
    ? "This parameter is given more than once"
    : message.replace("This key", "This parameter").replace(/, got .*$/, "")

/** The maximum size of the issues in one problem, in bytes of JSON. */
export const roomForIssues = 64 * 1024

const maxMessage = 200
const maxSegment = 100
const maxPath = 500

/** The first `max` characters of a text, and an ellipsis if it is longer. */
const cut = (text: string, max: number): string => {
  const kept = cutText(text, max)
  return kept.length === text.length ? text : `${kept}…`
}

type Issue = Pick<RequestIssue, "message" | "path">

const shortened = <A extends Issue>(issue: A): A => {
  const max = Math.min(maxSegment, Math.floor(maxPath / issue.path.length))
  return {
    ...issue,
    path: issue.path.map((segment) => (typeof segment === "string" ? cut(segment, max) : segment)),
    message: cut(issue.message, maxMessage)
  }
}

/**
 * The first issues, as many as fit into `room` bytes of JSON, but at least one. Long keys and messages are
 * cut and end in an ellipsis. Without this limit a body of 60 KB could cause a response of 30 MB, because the
 * path of each issue repeats keys of the body.
 */
export const listedIssues = <A extends Issue>(
  issues: ReadonlyArray<A>,
  room: number
): { readonly listed: ReadonlyArray<A>; readonly bytes: number } => {
  const listed: Array<A> = []
  let bytes = 0
  for (const issue of issues) {
    const short = shortened(issue)
    const more = Buffer.byteLength(JSON.stringify(short)) + 1
    if (listed.length > 0 && bytes + more > room) break
    listed.push(short)
    bytes += more
  }
  return { listed, bytes }
}

/** The problem for these issues and for `unlisted` further ones. It lists as many of `issues` as fit. */
export const invalidRequest = (issues: ReadonlyArray<RequestIssue>, unlisted = 0): InvalidRequest => {
  const { listed: errors } = listedIssues(issues, roomForIssues)
  const count = issues.length + unlisted
  const [first] = errors
  if (count === 1 && first !== undefined) {
    const where = first.path.length === 0 ? first.in : `${first.path.join(".")} (${first.in})`
    return new InvalidRequest({ message: `${where}: ${first.message}.`, errors })
  }
  return new InvalidRequest({
    message:
      errors.length === count
        ? `The request has ${count} issues; see errors.`
        : `The request has at least ${count} issues; errors lists the first ${errors.length}.`,
    errors
  })
}
