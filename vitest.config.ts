import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"
import packageSources from "./test/examples/packageSources.json" with { type: "json" }
import { isWholeForm } from "./test/WholeForm.ts"

export default defineConfig({
  // Examples import the package by its name, as apps do; here that is the sources.
  resolve: {
    alias: Object.entries(packageSources).map(([name, file]) => ({
      find: new RegExp(`^${name}$`),
      replacement: fileURLToPath(new URL(file, import.meta.url))
    }))
  },
  test: {
    include: ["test/**/*.test.ts", "examples/**/*.test.ts"],
    globalSetup: ["test/TestDatabase.globalSetup.ts"],
    // Most tests wait for a database, a process or a clock: three at a time, also where there are two cores. In the whole
    // form processes start from the sources, which takes three times the CPU.
    maxWorkers: isWholeForm ? 2 : 3,
    // A test file finds Effect loaded by the one before it: loading it anew for each is a quarter of the whole run. So no
    // test may leave anything behind in its process: what it starts ends with its scope, and it changes no global.
    isolate: false,
    // No promise, only an end: on a busy machine the start of ten processes alone takes half a minute.
    testTimeout: 120_000,
    hookTimeout: 60_000
  }
})
