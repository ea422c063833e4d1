/** The first syntax error of a JSON text (RFC 8259). Lines and columns start at 1; columns are in characters. */
interface JsonSyntaxError {
  readonly line: number
  readonly column: number
  readonly expected: string
  /**
   * The character at `line` and `column`, or "the end". No more of the text, because a body may contain
   * secrets.
   */
  readonly found: string
}

/**
 * The maximum length of text that is searched for an error, in UTF-16 code units. Searching more would block the
 * process for too long.
 */
export const maxSearched = 1_048_576
/**
 * An error this close to the end of the searched text may exist only because the search ends there, in the middle of
 * `false` or of an escape.
 */
const maxToken = 16

/**
 * The end of a token. If the token is wrong, `end` is the place of the error and `expected` what JSON allows
 * there.
 */
interface Token {
  readonly end: number
  readonly expected?: string
}

const whiteSpace = /[ \t\n\r]*/y
const plainText = /[ !#-[\]-\uFFFF]*/y
const escape = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y
const digits = /[0-9]*/y
const fraction = /\./y
const exponent = /[eE][+-]?/y
const word = /true|false|null/y

const endOf = (pattern: RegExp, text: string, from: number): number | undefined => {
  pattern.lastIndex = from
  return pattern.test(text) ? pattern.lastIndex : undefined
}
const skip = (pattern: RegExp, text: string, from: number): number => endOf(pattern, text, from) ?? from

const readString = (text: string, start: number): Token => {
  let at = start + 1
  for (;;) {
    at = skip(plainText, text, at)
    if (text[at] === '"') return { end: at + 1 }
    if (at === text.length) return { end: at, expected: 'the closing " of a string' }
    if (text[at] !== "\\") return { end: at, expected: "an escape like \\n in place of a control character" }
    const next = endOf(escape, text, at)
    if (next === undefined)
      return text[at + 1] === "u"
        ? { end: at + 2, expected: "four hexadecimal digits after \\u" }
        : { end: at + 1, expected: 'one of " \\ / b f n r t u after \\' }
    at = next
  }
}

const readNumber = (text: string, start: number): Token => {
  const first = text[start] === "-" ? start + 1 : start
  let end = skip(digits, text, first)
  if (end === first) return { end, expected: "a digit" }
  if (text[first] === "0" && end > first + 1)
    return { end: first + 1, expected: "no digit after a leading 0" }
  for (const part of [fraction, exponent]) {
    const from = endOf(part, text, end)
    if (from === undefined) continue
    end = skip(digits, text, from)
    if (end === from) return { end, expected: "a digit" }
  }
  return { end }
}

/** Reads a string, a number, a word, or the bracket that opens an object or an array. */
const readValue = (text: string, at: number, expected: string): Token => {
  const first = text[at] ?? ""
  if (first === '"') return readString(text, at)
  if (first === "[" || first === "{") return { end: at + 1 }
  if (first === "-" || (first >= "0" && first <= "9")) return readNumber(text, at)
  const end = endOf(word, text, at)
  return end === undefined ? { end: at, expected } : { end }
}

/** Reads a key of an object with its colon. */
const readKey = (text: string, at: number, expected: string): Token => {
  if (text[at] !== '"') return { end: at, expected }
  const key = readString(text, at)
  if (key.expected !== undefined) return key
  const colon = skip(whiteSpace, text, key.end)
  return text[colon] === ":"
    ? { end: skip(whiteSpace, text, colon + 1) }
    : { end: colon, expected: "a colon after the key" }
}

/** Reads what stands after a value: brackets that close, then a comma or the end. */
const readAfter = (text: string, start: number, open: Array<string>): Token => {
  let at = skip(whiteSpace, text, start)
  for (let closing = open.at(-1); closing !== undefined; closing = open.at(-1)) {
    if (text[at] === ",") return { end: at + 1 }
    if (text[at] !== closing) return { end: at, expected: `a comma or ${closing}` }
    open.pop()
    at = skip(whiteSpace, text, at + 1)
  }
  return at === text.length ? { end: at } : { end: at, expected: "nothing more after the value" }
}

// Uses a list of open brackets instead of recursion, because the nesting is as deep as the sender likes.
const findError = (text: string): Token | undefined => {
  const open: Array<string> = []
  let at = 0
  let isFirst = false
  do {
    at = skip(whiteSpace, text, at)
    const closing = open.at(-1)
    if (!isFirst || text[at] !== closing) {
      const or: string = isFirst ? ` or ${closing}` : ""
      const key: Token = closing === "}" ? readKey(text, at, `a key in double quotes${or}`) : { end: at }
      if (key.expected !== undefined) return key
      const value = readValue(text, key.end, `a value${closing === "]" ? or : ""}`)
      if (value.expected !== undefined) return value
      at = value.end
      const first: string | undefined = text[key.end]
      isFirst = first === "[" || first === "{"
      if (isFirst) {
        open.push(first === "[" ? "]" : "}")
        continue
      }
    }
    isFirst = false
    const after = readAfter(text, at, open)
    if (after.expected !== undefined) return after
    at = after.end
  } while (open.length > 0)
  return undefined
}

const nameAt = (text: string, at: number): string => {
  const found = text.codePointAt(at)
  if (found === undefined) return "the end"
  return found > 0x20 && found < 0x7f
    ? String.fromCodePoint(found)
    : `U+${found.toString(16).toUpperCase().padStart(4, "0")}`
}

/**
 * The syntax error of a text that `JSON.parse` rejects; undefined if the error is after the part that is
 * searched.
 */
export const jsonSyntaxError = (text: string): JsonSyntaxError | undefined => {
  const isCut = text.length > maxSearched
  const error = findError(isCut ? text.slice(0, maxSearched) : text)
  if (error?.expected === undefined) return undefined
  if (isCut && error.end > maxSearched - maxToken) return undefined
  let line = 1
  let column = 1
  for (let at = 0; at < error.end; at++) {
    const unit = text.charCodeAt(at)
    if (unit === 0x0a || (unit === 0x0d && text.charCodeAt(at + 1) !== 0x0a)) {
      line += 1
      column = 1
    } else if ((unit & 0xfc00) !== 0xdc00) column += 1
  }
  return { line, column, expected: error.expected, found: nameAt(text, error.end) }
}
