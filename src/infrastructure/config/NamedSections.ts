import { Option, Predicate, Schema, SchemaTransformation } from "effect"
import { nearestKey } from "../../domain/NearestKey.ts"
import type { Kind, WrongPart } from "./Setting.ts"

/** The settings that each section may have. */
type Parts = Readonly<Record<string, Kind<unknown>>>

/** The values of one section; what was not given is absent. */
type Section<P extends Parts> = { readonly [Name in keyof P]?: P[Name] extends Kind<infer A> ? A : never }

/** The form of the names of sections. */
interface NameRule {
  /** What the names are, in words. */
  readonly of: string
  /** Completes the sentence "it must be …". */
  readonly allowed: string
  readonly pattern: RegExp
}

/**
 * Sections of settings under names that the operator chooses. As text, for example in the environment, they are one
 * JSON object. In the file they are sections, and a name with dots is one key. Null counts as not given.
 */
export const namedSections = <const P extends Parts>(
  names: NameRule,
  parts: P,
  example: string
): Kind<Readonly<Record<string, Section<P>>>> => {
  const read = (text: string) => readSections(text, names, parts)
  const section = Schema.Struct(
    Object.fromEntries(
      Object.entries(parts).map(([name, { schema }]) => [name, Schema.optionalKey(Schema.toType(schema))])
    )
  ) as unknown as Schema.Codec<Section<P>>
  return {
    schema: Schema.String.check(Schema.makeFilter((text: string) => read(text)?.wrong.length === 0)).pipe(
      Schema.decodeTo(
        Schema.Record(Schema.String, section),
        SchemaTransformation.transform({
          decode: (text) => (read(text)?.sections ?? {}) as Readonly<Record<string, Section<P>>>,
          encode: (sections: Readonly<Record<string, Section<P>>>) => JSON.stringify(sections)
        })
      )
    ),
    allowed: `a JSON object such as ${example}`,
    secret: false,
    sections: true,
    wrongParts: (text) => read(text)?.wrong ?? []
  }
}

/** The sections in a text, and what is wrong with them; null if it is no JSON object. */
const readSections = (text: string, names: NameRule, parts: Parts) => {
  const json = parseJson(text)
  if (!Predicate.isReadonlyObject(json)) return null
  const wrong: Array<WrongPart> = []
  const sections = Object.entries(json).flatMap(([name, section]) => {
    if (section === null) return []
    const part = quoted(name)
    if (!names.pattern.test(name))
      wrong.push({ part, problem: `is not ${names.of}: it must be ${names.allowed}.` })
    else if (!Predicate.isReadonlyObject(section))
      wrong.push({ part, problem: `is ${quoted(section)}: it must be a section of settings.` })
    else return [[name, readSection(part, section, parts, wrong)] as const]
    return []
  })
  return { sections: Object.fromEntries(sections), wrong }
}

const readSection = (
  name: string,
  section: Readonly<Record<string, unknown>>,
  parts: Parts,
  wrong: Array<WrongPart>
) =>
  Object.fromEntries(
    Object.entries(section).flatMap(([key, value]) => {
      if (value === null) return []
      const kind = Object.hasOwn(parts, key) ? parts[key] : undefined
      const decoded = kind === undefined ? Option.none() : decodeValue(kind, value)
      if (Option.isSome(decoded)) return [[key, decoded.value] as const]
      const meant = nearestKey(key, Object.keys(parts))
      const problem =
        kind === undefined
          ? `is not a known setting${meant === undefined ? "." : `; did you mean ${meant}?`}`
          : `is ${quoted(value)}: it must be ${kind.allowed}.`
      wrong.push({ part: `${name}.${key}`, problem })
      return []
    })
  )

// A value is a text if it comes from the file, and may be a number if it comes from JSON.
const decodeValue = (kind: Kind<unknown>, value: unknown): Option.Option<unknown> =>
  Predicate.isString(value) || Predicate.isNumber(value)
    ? Schema.decodeOption(kind.schema)(String(value))
    : Option.none()

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const quoted = (value: unknown): string => {
  const json = JSON.stringify(value)
  return json.length > 100 ? `${json.slice(0, 100)}…` : json
}
