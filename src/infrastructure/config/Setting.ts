import { Option, Schema, SchemaTransformation, Struct } from "effect"
import type { Redacted } from "effect"

/**
 * The allowed values of a setting, and how to decode their text, which comes from the file or the
 * environment.
 */
export interface Kind<out A> {
  readonly schema: Schema.Codec<A, string>
  /** Completes the sentence "it must be …". */
  readonly allowed: string
  /** Whether the value is kept out of error messages. */
  readonly secret: boolean
  /** Whether the file may contain the value as a list. As text, the elements are separated by commas. */
  readonly list?: boolean
  /** Whether the file may contain the value as sections under names that the operator chooses. As text, it is JSON. */
  readonly sections?: boolean
  /** The wrong parts of an invalid text; empty if the text as a whole is wrong. */
  readonly wrongParts?: (text: string) => ReadonlyArray<WrongPart>
}

/** A wrong part of a value: its path below the setting's key, and the rest of a sentence about it. */
export interface WrongPart {
  readonly part: string
  readonly problem: string
}

/** One setting: its kind, its default, and its meaning in one line. */
export interface Setting<out A> {
  readonly _tag: "Setting"
  readonly kind: Kind<unknown>
  readonly decode: (text: string) => Option.Option<A>
  readonly default: A
  readonly defaultText: string
  readonly meaning: string
}

/** A setting that always has a value. */
export const setting = <A>(kind: Kind<A>, value: NoInfer<A>, meaning: string): Setting<A> => ({
  _tag: "Setting",
  kind,
  decode: Schema.decodeOption(kind.schema),
  default: value,
  defaultText: Schema.encodeSync(kind.schema)(value),
  meaning
})

/** An optional setting; `otherwise` is its default in words, for the documentation. */
export const optional = <A>(
  kind: Kind<A>,
  meaning: string,
  otherwise = "none"
): Setting<Option.Option<A>> => ({
  _tag: "Setting",
  kind,
  decode: (text) => Option.map(Schema.decodeOption(kind.schema)(text), Option.some),
  default: Option.none(),
  defaultText: otherwise,
  meaning
})

const kind = <A>(allowed: string, schema: Schema.Codec<A, string>): Kind<A> => ({
  schema,
  allowed,
  secret: false
})

// `form` accepts only decimal notation. Without it, " " would be read as 0 and "0x10" as 16.
const number = (form: RegExp, value: Schema.Codec<number>) =>
  Schema.String.check(Schema.isPattern(form)).pipe(
    Schema.decodeTo(value, SchemaTransformation.numberFromString)
  )

/** A whole number between two bounds, both allowed. */
export const wholeNumber = (minimum: number, maximum: number): Kind<number> =>
  kind(
    `a whole number from ${minimum} to ${maximum}`,
    number(/^\d{1,16}$/, Schema.Int.check(Schema.isBetween({ minimum, maximum })))
  )

/** A number between two bounds, both allowed. */
export const numberFrom = (minimum: number, maximum: number): Kind<number> =>
  kind(
    `a number from ${minimum} to ${maximum}`,
    number(/^(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i, Schema.Finite.check(Schema.isBetween({ minimum, maximum })))
  )

/** A share or a probability. */
export const share: Kind<number> = numberFrom(0, 1)

/** One of these words, in this spelling. */
export const oneOf = <const Words extends ReadonlyArray<string>>(words: Words): Kind<Words[number]> =>
  kind(words.length === 1 ? `${words[0]}` : `one of ${words.join(", ")}`, Schema.Literals(words))

/** True or false; `yes`, `on` and `1` are refused, as in YAML 1.2. */
export const flag: Kind<boolean> = kind(
  "true or false",
  Schema.String.check(Schema.isPattern(/^([Tt]rue|TRUE|[Ff]alse|FALSE)$/)).pipe(
    Schema.decodeTo(
      Schema.Boolean,
      SchemaTransformation.transform({
        decode: (text) => text.toLowerCase() === "true",
        encode: String
      })
    )
  )
)

/** Text of the form that `allowed` describes. */
export const matching = (allowed: string, pattern: RegExp): Kind<string> =>
  kind(allowed, Schema.String.check(Schema.isPattern(pattern)))

/** One of these words, each decoded to a value of the program. */
export const wordFor = <A extends string, Word extends string>(
  meanings: Readonly<Record<Word, A>>
): Kind<A> => {
  const words = Struct.keys(meanings)
  const values = words.map((word) => meanings[word])
  return kind(
    `one of ${words.join(", ")}`,
    Schema.Literals(words).pipe(
      Schema.decodeTo(
        Schema.Literals(values),
        SchemaTransformation.transform({
          decode: (word: Word) => meanings[word],
          encode: (value: A) => words[values.indexOf(value)] as Word
        })
      )
    )
  )
}

/** The kind of a setting whose value is kept out of logs, errors and traces. */
export const secret = <A>(shown: Kind<A>): Kind<Redacted.Redacted<A>> => ({
  schema: Schema.RedactedFromValue(shown.schema),
  allowed: shown.allowed,
  secret: true,
  list: shown.list ?? false
})

/** A PostgreSQL connection URL; its parts and parameters are checked where they are used. */
export const postgresUrl: Kind<string> = kind(
  "a URL such as postgres://user:password@host:5432/name, with special characters percent-encoded",
  Schema.String.check(
    Schema.isPattern(/^postgres(ql)?:\/\/[!-$&-~]*(%[0-9A-Fa-f]{2}[!-$&-~]*)*$/),
    // libpq accepts two forms that are not valid URLs: a user without a host (a parameter gives the host),
    // and several hosts. Several hosts are refused later, where the parts of the URL are read.
    Schema.makeFilter(
      (url: string) =>
        URL.canParse(url.replace(/^([^/]+:\/\/)[^/?@]*@(?=[/?]|$)/, "$1")) || /^[^/]+:\/\/[^/?]*,/.test(url)
    )
  )
)
