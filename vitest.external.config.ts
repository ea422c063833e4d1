import { defineConfig } from "vitest/config"
import base from "./vitest.config.ts"

/**
 * Tests that take a minute, or need programs which npm cannot bring; CI installs those and runs these as well. The tests of
 * scale take longer and run only by `npm run test:scale`.
 */
const isScale = process.env["SCALE"] === "full"
const scale = [
  "test/external/FailureGroups.external.ts",
  "test/external/Fairness.external.ts",
  "test/external/Flat.external.ts",
  "test/external/Lists.external.ts"
]

export default defineConfig({
  ...base,
  // Two at a time, because these tests load the database more than the others do.
  test: {
    ...base.test,
    maxWorkers: 2,
    include: isScale ? [...scale, "test/external/Breaker.external.ts"] : ["test/external/**/*.external.ts"],
    exclude: isScale ? [] : scale
  }
})
