import type { RequestIssue } from "../../../contract/RequestErrors.ts"

/** The most bytes of JSON that the issues of one problem take. */
export const roomForIssues = 64 * 1024

const maxMessage = 200
const maxSegment = 100
const maxPath = 500

/** At most so many characters of a text, and no half of one. */
const cut = (text: string, most: number): string => {
  if (text.length <= most) return text
  const isHalved = /^[\uD800-\uDBFF][\uDC00-\uDFFF]$/.test(text.slice(most - 1, most + 1))
  return `${text.slice(0, isHalved ? most - 1 : most)}…`
}

type Issue = Pick<RequestIssue, "message" | "path">

const shortened = <A extends Issue>(issue: A): A => {
  const most = Math.min(maxSegment, Math.floor(maxPath / issue.path.length))
  return {
    ...issue,
    path: issue.path.map((segment) => (typeof segment === "string" ? cut(segment, most) : segment)),
    message: cut(issue.message, maxMessage)
  }
}

/**
 * The first issues, at least one, as far as there is room for their JSON; long keys and messages are cut, and end in an
 * ellipsis. A path repeats keys of the body once for each issue below them, so without this a body of 60 KB is answered
 * with 30 MB.
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
