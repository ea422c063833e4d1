import { Result } from "effect"
import { jsonSyntaxError, maxSearched } from "./JsonSyntax.ts"

// Text that begins with U+0000 is refused anyway, so nothing that is accepted can be mistaken for a mark.
const mark = "\u0000number "

/** Says of a text in parsed JSON how the number is written in whose place it stands; undefined where it is just text. */
export const inexactNumber = (text: string): string | undefined =>
  text.startsWith(mark) ? text.slice(mark.length) : undefined

const number = /^-?(0|[1-9]\d*)(?:\.(\d+))?(?:e([+-]?\d+))?$/i

/** A number without its sign, as the same text for every way to write it: its digits and their exponent. */
const magnitudeOf = (literal: string): string | undefined => {
  const [matched, whole = "", fraction = "", exponent = "0"] = number.exec(literal) ?? []
  if (matched === undefined) return undefined
  const digits = whole + fraction
  let [start, end] = [0, digits.length]
  while (digits[start] === "0") start += 1
  while (end > start && digits[end - 1] === "0") end -= 1
  return start === end ? "0" : `${digits.slice(start, end)}e${Number(exponent) + whole.length - end}`
}

/** Whether a number comes back as another: JavaScript and JSON have the same sign, but not always the same digits. */
const isInexact = (literal: string): boolean => {
  const magnitude = magnitudeOf(literal)
  const stored = Number(literal)
  // Infinity is found in the parsed value.
  return magnitude !== undefined && Number.isFinite(stored) && magnitude !== magnitudeOf(String(stored))
}

const quote = 0x22
const isNumeral = (byte: number | undefined) =>
  byte !== undefined && ((byte >= 0x30 && byte <= 0x39) || byte === 0x2e)

/** As many characters as a number has at least that has more than the 15 significant digits every double keeps. */
const long = 16

/** Whether a body may have a number of so many characters: reads every 16th byte, so that ordinary bodies pay little. */
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

// A shorter number is only inexact where it is too small for a double, and that takes an exponent of three digits.
const mayBeTooSmall = /\de-\d{3,}[\s,\]}]/i
const suspects = /\\.|"|-?(?:[\d.]{16,}(?:e[+-]?\d+)?|[\d.]+e-\d{3,})/gi

/** The same JSON with a mark for each number that would not come back as the same number. */
const marked = (text: string): string => {
  let isText = false
  return text.replaceAll(suspects, (token) => {
    if (token === '"') isText = !isText
    return !isText && isInexact(token) ? JSON.stringify(mark + token) : token
  })
}

/** The first byte, counted from 1, at which this is no UTF-8 any more; one past the last where the end is missing. */
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
 * A body as JSON, or a sentence that says where it is none. No body is `{}`; of duplicate keys the last one counts.
 * Text in place of a number that would come back as another number is told from other text by {@link inexactNumber}.
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
