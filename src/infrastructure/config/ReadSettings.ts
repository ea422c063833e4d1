import { Array, ConfigProvider, Effect, Option, Result } from "effect"
import { InvalidSettings } from "./InvalidSettings.ts"
import type { Kind, Setting } from "./Setting.ts"
import { environmentVariable, settingsByKey, valuesOf } from "./SettingsTree.ts"
import type { SettingsTree } from "./SettingsTree.ts"

/** A source of settings. `placeOf` names the place where a setting is set, for the operator. */
export interface SettingsSource {
  readonly provider: ConfigProvider.ConfigProvider
  readonly placeOf: (key: string) => string
}

interface Given {
  readonly text: string
  readonly place: string
}

/** The environment as a source. The place of a setting is its variable. */
export const environmentSource = (environment: ConfigProvider.ConfigProvider): SettingsSource => ({
  provider: ConfigProvider.constantCase(environment),
  placeOf: environmentVariable
})

/**
 * Reads every setting from the first source that has it, or uses its default. Fails with all problems at
 * once. The function `named` in the result returns a key followed by the place where it was set, for the
 * messages about problems that are found later.
 */
export const readSettings = Effect.fn("ReadSettings")(function* <const Tree extends SettingsTree>(
  tree: Tree,
  notYetSupported: ReadonlyArray<string>,
  sources: ReadonlyArray<SettingsSource>
) {
  const settings = settingsByKey(tree)
  const given = new Map<string, Given>()
  for (const key of [...notYetSupported, ...settings.keys()]) {
    const found = yield* firstGiven(key, sources)
    if (Option.isSome(found)) given.set(key, found.value)
  }
  const named = (key: string) => {
    const place = given.get(key)?.place
    return place === undefined ? key : `${key} (${place})`
  }

  // Settings that this version does not support are refused rather than ignored, because an operator may rely
  // on what the setting promises.
  const unsupported = notYetSupported
    .filter((key) => given.has(key))
    .map((key) => `${named(key)} is not supported by this version yet; remove it.`)
  const [read, wrong] = Array.partition(settings, ([key, setting]) =>
    Result.map(valueOf(setting, key, given.get(key)), (value) => [key, value] as const)
  )
  const problems = [...unsupported, ...wrong.flat()]
  if (Array.isArrayNonEmpty(problems)) return yield* new InvalidSettings({ problems })

  const values = new Map(read)
  return { values: valuesOf(tree, (key) => values.get(key)), named }
})

const firstGiven = Effect.fnUntraced(function* (key: string, sources: ReadonlyArray<SettingsSource>) {
  for (const { placeOf, provider } of sources) {
    const node = yield* provider
      .load(key.split("."))
      .pipe(
        Effect.mapError(
          (error) => new InvalidSettings({ problems: [`${key} cannot be read: ${error.message}.`] })
        )
      )
    if (node?.value !== undefined) return Option.some<Given>({ text: node.value, place: placeOf(key) })
  }
  return Option.none<Given>()
})

/** The value of a setting, or its problems. */
const valueOf = (
  { decode, default: otherwise, kind }: Setting<unknown>,
  key: string,
  given: Given | undefined
) =>
  given === undefined
    ? Result.succeed(otherwise)
    : Result.fromOption(decode(given.text), () => problemsOf(kind, key, given))

const problemsOf = (kind: Kind<unknown>, key: string, { place, text }: Given): ReadonlyArray<string> => {
  const parts = kind.wrongParts?.(text) ?? []
  if (parts.length > 0) return parts.map(({ part, problem }) => `${key}.${part} (${place}) ${problem}`)
  return [
    kind.secret
      ? `${key} (${place}) has an invalid value, not shown because it is a secret: it must be ${kind.allowed}.`
      : `${key} (${place}) is ${quoted(text)}: it must be ${kind.allowed}.`
  ]
}

// JSON escapes line breaks, so a sentence that quotes a value stays on one line.
const quoted = (text: string) => JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}…` : text)
