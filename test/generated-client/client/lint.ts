// Checks the document by the rules of Redocly, including examples against their schemas; a warning fails too.

import { createConfig, lintFromString } from "@redocly/openapi-core"
import * as fs from "node:fs"

const [file = "openapi.json"] = process.argv.slice(2)
const config = await createConfig({
  extends: ["recommended"],
  rules: {
    "no-invalid-media-type-examples": "error",
    "no-invalid-schema-examples": "error",
    "no-invalid-parameter-examples": "error"
  }
})
const found = await lintFromString({ source: fs.readFileSync(file, "utf8"), absoluteRef: file, config })
for (const { location, message, ruleId, severity } of found) {
  console.error(`${severity} ${ruleId}: ${message} at ${location[0]?.pointer ?? "the document"}`)
}
if (found.length > 0) process.exit(1)
