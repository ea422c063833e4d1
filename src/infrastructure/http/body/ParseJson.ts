import { Result } from "effect"
import { jsonSyntaxError, maxSearched } from "./JsonSyntax.ts"

// The beginning of a string that replaces an inexact number. Strings with U+0000 are refused, so no accepted
// string begins with this mark.
const mark = "\u0000number "

/**
 * The number as the client wrote it, if this string replaces an inexact number in parsed JSON; otherwise
 * undefined.
 */
export const inexactNumber = (text: string): string | undefined =>
  text.startsWith(mark) ? text.slice(mark.length) : undefined

const number = /^-?(0|[1-9]\d*)(?:\.(\d+))?(?:e([+-]?\d+))?$/i

/** A canonical text of a number without its sign: its digits and their exponent, the same for every notation. */
const magnitudeOf = (literal: string): string | undefined => {
  const [matched, whole = "", fraction = "", exponent = "0"] = number.exec(literal) ?? []
  if (matched === undefined) return undefined
  const digits = whole + fraction
  let [start, end] = [0, digits.length]
  while (digits[start] === "0") start += 1
  while (end > start && digits[end - 1] === "0") end -= 1
  return start === end ? "0" : `${digits.slice(start, end)}e${Number(exponent) + whole.length - end}`
}

/** Whether a number would be returned as a different number, because a double has too few digits for it. */
const isInexact = (literal: string): boolean => {
  const magnitude = magnitudeOf(literal)
  const stored = Number(literal)
  // A number that becomes Infinity is refused later, in StrictJson.ts.
  return magnitude !== undefined && Number.isFinite(stored) && magnitude !== magnitudeOf(String(stored))
}

const quote = 0x22
const isNumeral = (byte: number | undefined) =>
  byte !== undefined && ((byte >= 0x30 && byte <= 0x39) || byte === 0x2e)

/** The minimum length of a number with more than 15 significant digits, which a double cannot always keep. */
const long = 16

/**
 * Whether a body may have a number of at least `long` characters. Reads only every 16th byte, so that it
 * costs little for most bodies.
 */
const mayHaveLongNumber = (bytes: Uint8Array): boolean => {
  for (let at = long - 1; at < bytes.length; at += long) {
    if (!isNumeral(bytes[at])) continue
    let start = at
    while (at - start < long && isNumeral(bytes[start - 1])) start -= 1
    let end = at + 1
    while (end - start < long && isNumeral(bytes[end])) end += 1
    if (end - start >= long && bytes[start - 1] !== quote) return true
  }
  return false
}

// A number with fewer than `long` characters is inexact only if it is too small for a double. Such a number
// has an exponent of at least three digits.
const mayBeTooSmall = /\de-\d{3,}[\s,\]}]/i
const suspects = /\\.|"|-?(?:[\d.]{16,}(?:e[+-]?\d+)?|[\d.]+e-\d{3,})/gi

/** The same JSON, with each inexact number replaced by a marked string. */
const marked = (text: string): string => {
  let isText = false
  return text.replaceAll(suspects, (token) => {
    if (token === '"') isText = !isText
    return !isText && isInexact(token) ? JSON.stringify(mark + token) : token
  })
}

/**
 * The position of the first byte that is not UTF-8, counted from 1; one past the last byte if the last character is
 * incomplete.
 */
const firstWrongByte = (bytes: Uint8Array): number => {
  const isRight = (length: number) => {
    try {
      new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(0, length), { stream: true })
      return true
    } catch {
      return false
    }
  }
  let [right, wrong] = [0, bytes.length + 1]
  while (wrong - right > 1) {
    const middle = (right + wrong) >> 1
    if (isRight(middle)) right = middle
    else wrong = middle
  }
  return wrong
}

const notUtf8 = (bytes: Uint8Array): string => {
  const place = firstWrongByte(bytes)
  return place > bytes.length
    ? `The body is not UTF-8: it ends within a character, after byte ${bytes.length}`
    : `The body is not UTF-8: byte ${place} does not belong there`
}

const notJson = (text: string): string => {
  const error = jsonSyntaxError(text)
  return error === undefined
    ? `The body is not JSON; the error is not in its first ${maxSearched} characters`
    : `The body is not JSON: at line ${error.line}, column ${error.column} expected ${error.expected}, found ${error.found}`
}

const utf8 = new TextDecoder("utf-8", { fatal: true })

/**
 * A body as JSON, or a sentence with the place of its first error. A missing body is read as `{}`; the last
 * of duplicate keys wins. A number that would be returned as a different number is replaced by a string that
 * {@link inexactNumber} recognises.
 */
export const parseJson = (bytes: Uint8Array): Result.Result<unknown, string> => {
  let text: string
  try {
    text = utf8.decode(bytes)
  } catch {
    return Result.fail(notUtf8(bytes))
  }
  if (text === "") return Result.succeed({})
  try {
    const isSuspect = mayHaveLongNumber(bytes) || mayBeTooSmall.test(text)
    return Result.succeed(JSON.parse(isSuspect ? marked(text) : text))
  } catch {
    return Result.fail(notJson(text))
  }
}
