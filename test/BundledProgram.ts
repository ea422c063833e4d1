import * as fs from "node:fs/promises"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { rolldown } from "rolldown"
import packageSources from "./examples/packageSources.json" with { type: "json" }

const root = fileURLToPath(new URL("../", import.meta.url))

const exampleNames = [
  "coffee",
  "office",
  "shop/main",
  "two-processes/api",
  "two-processes/worker",
  "two-processes/customer"
] as const

const examplesIn = (fileOf: (name: string) => string) =>
  Object.fromEntries(exampleNames.map((name) => [name, fileOf(name)])) as Programs["examples"]

/** The files that tests run with Node. */
export interface Programs {
  /** The program as an operator starts it. */
  readonly orderPlatform: string
  /** A worker that does what the payload says: ends its process or writes to the ledger. */
  readonly scriptedWorker: string
  /** The main modules of the examples, by their names in examples/, and how Node runs them. */
  readonly examples: Readonly<Record<(typeof exampleNames)[number], string>>
  readonly exampleOptions: ReadonlyArray<string>
}

/** The program as it stands in the clone. */
export const sourcePrograms: Programs = {
  orderPlatform: path.join(root, "bin/order-platform.js"),
  scriptedWorker: path.join(root, "chaos/worker.ts"),
  examples: examplesIn((name) => path.join(root, "examples", `${name}.ts`)),
  exampleOptions: ["--import", path.join(root, "test/examples/fromSource.js")]
}

/**
 * The programs bundled into a directory of the layout of the package: bin and dist. The tests start about 140
 * processes, and a process loads the few files of the bundle in 0.2 s instead of 780 in 0.9 s.
 */
export const bundlePrograms = async (): Promise<{
  readonly programs: Programs
  readonly remove: () => Promise<void>
}> => {
  // Below node_modules, so that the bundle finds the packages that it imports by computed names.
  const caches = path.join(root, "node_modules/.cache")
  await fs.mkdir(caches, { recursive: true })
  const directory = await fs.mkdtemp(path.join(caches, "order-platform-tests-"))
  const building = await rolldown({
    input: {
      "src/main": path.join(root, "src/main.ts"),
      "chaos/worker": sourcePrograms.scriptedWorker,
      ...Object.fromEntries(exampleNames.map((name) => [`examples/${name}`, sourcePrograms.examples[name]]))
    },
    // Examples import the package by its name. The first match applies, so the longest names come first.
    resolve: {
      alias: Object.fromEntries(
        Object.entries(packageSources).map(([name, file]) => [name, path.join(root, file)])
      )
    },
    platform: "node",
    logLevel: "silent"
  })
  await building.write({ dir: path.join(directory, "dist"), format: "esm", entryFileNames: "[name].js" })
  await building.close()
  await fs.cp(path.join(root, "bin"), path.join(directory, "bin"), { recursive: true })
  await fs.writeFile(path.join(directory, "package.json"), JSON.stringify({ type: "module" }))
  const programs = {
    orderPlatform: path.join(directory, "bin/order-platform.js"),
    scriptedWorker: path.join(directory, "dist/chaos/worker.js"),
    examples: examplesIn((name) => path.join(directory, "dist/examples", `${name}.js`)),
    exampleOptions: []
  }
  return { programs, remove: () => fs.rm(directory, { recursive: true, force: true }) }
}
