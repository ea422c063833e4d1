import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"
import { isWholeForm } from "./test/WholeForm.ts"

const source = (file: string) => fileURLToPath(new URL(`src/${file}`, import.meta.url))

export default defineConfig({
  // Examples import the package by its name, as apps do; here that is the sources.
  resolve: {
    alias: [
      { find: /^order-platform$/, replacement: source("index.ts") },
      { find: /^order-platform\/contract$/, replacement: source("contract.ts") },
      { find: /^order-platform\/testing$/, replacement: source("testing.ts") },
      { find: /^order-platform\/testing\/conformance$/, replacement: source("conformance.ts") }
    ]
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
