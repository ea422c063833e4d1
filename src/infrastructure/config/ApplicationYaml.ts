import { Array, ConfigProvider, Effect, FileSystem, Option, Stream } from "effect"
import type { PlatformError } from "effect"
import { InvalidSettings } from "./InvalidSettings.ts"
import type { SettingsSource } from "./ReadSettings.ts"
import { yamlSettings } from "./YamlSettings.ts"

const FILE = "application.yaml"
const MAX_BYTES = 1_048_576

/**
 * The settings in the file `config`. Without `config`, the settings in `application.yaml` in the working
 * directory, and no settings if that file does not exist. Fails with sentences about the problems of the
 * file, with line and column where these are known. No sentence quotes a value.
 */
export const applicationYaml = Effect.fn("ApplicationYaml")(function* (
  config: Option.Option<string>,
  keys: Iterable<string>,
  notYetSupported: Iterable<string>,
  lists: Iterable<string>,
  sections: Iterable<string>
) {
  const file = Option.getOrElse(config, () => FILE)
  const bytes = yield* read(file, Option.isSome(config))
  if (bytes.length > MAX_BYTES) return yield* refused(`${file} is larger than ${MAX_BYTES} bytes.`)
  const yaml = yield* Effect.try({
    try: () => new TextDecoder("utf-8", { fatal: true }).decode(bytes),
    catch: () => new InvalidSettings({ problems: [`${file} is not UTF-8 text.`] })
  })
  const { problems, settings } = yamlSettings(file, yaml, {
    keys: new Set(keys),
    notYetSupported: new Set(notYetSupported),
    lists: new Set(lists),
    sections: new Set(sections)
  })
  if (Array.isReadonlyArrayNonEmpty(problems)) return yield* new InvalidSettings({ problems })
  return {
    provider: ConfigProvider.make((path) => {
      const given = settings.get(path.join("."))
      return Effect.succeed(given && ConfigProvider.makeValue(given.text))
    }),
    placeOf: (key) => settings.get(key)?.place ?? file
  } satisfies SettingsSource
})

const refused = (problem: string) => Effect.fail(new InvalidSettings({ problems: [problem] }))

// Read as a stream, so that a device or a pipe (--config <(…)) works and the size is limited.
const read = Effect.fnUntraced(function* (file: string, mustExist: boolean) {
  const fileSystem = yield* FileSystem.FileSystem
  return yield* fileSystem.stream(file, { bytesToRead: MAX_BYTES + 1 }).pipe(
    Stream.runCollect,
    Effect.map((chunks) => Buffer.concat(chunks)),
    Effect.catch((error: PlatformError.PlatformError) =>
      error.reason._tag !== "NotFound"
        ? refused(`${file} cannot be read (${error.reason._tag}).`)
        : mustExist
          ? refused(`${file}, given by --config, does not exist.`)
          : Effect.succeed(Buffer.alloc(0))
    )
  )
})
