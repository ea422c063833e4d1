import { defineConfig } from "vitest/config"
import base from "./vitest.config.ts"

/** Tests that take a minute, or need programs which npm cannot bring; CI installs those and runs these as well. */
export default defineConfig({
  ...base,
  // Two at a time, because these tests load the database more than the others do.
  test: { ...base.test, maxWorkers: 2, include: ["test/external/**/*.external.ts"] }
})
