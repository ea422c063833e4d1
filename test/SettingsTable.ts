import { settings } from "../src/Environment.ts"
import { environmentVariable, settingsByKey } from "../src/infrastructure/config/SettingsTree.ts"

/** The settings as the Markdown table between the `settings` markers of docs/settings.md. */
export const settingsTable = (): string =>
  [
    "| key | environment variable | default | meaning |",
    "|---|---|---|---|",
    ...[...settingsByKey(settings)].map(
      ([key, { defaultText, meaning }]) =>
        `| \`${key}\` | \`${environmentVariable(key)}\` | ${defaultText} | ${meaning} |`
    )
  ].join("\n")
