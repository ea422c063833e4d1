import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { parseSync } from "oxc-parser"

// The import rules of ARCHITECTURE.md as a test. Every rule is also run on sources that break it, so that a rule that
// checks nothing fails.

/** Source texts by their path from the root of the repository. */
type Sources = Readonly<Record<string, string>>

/** The files that import Node itself, with the reason; every other file uses Effect's platform services. */
const nodeItself: Readonly<Record<string, string>> = {
  "src/infrastructure/memory/dead-letters/FailureGroups.ts":
    "the hash of a fingerprint must be computed at once, which WebCrypto cannot",
  "src/infrastructure/http/server/HttpServer.ts": "the server that listens is Node's",
  "src/infrastructure/http/server/NodeAnswers.ts": "answers malformed requests on Node's socket",
  "src/infrastructure/http/server/NodeServer.ts": "creates Node's server",
  "src/infrastructure/http/server/OpenConnections.ts": "tracks the connections of Node's server",
  "src/infrastructure/http/server/EarlyRequests.ts": "holds requests that arrive before the routes are ready",
  "src/infrastructure/telemetry/Logging.ts": "the console and streams of Node",
  "src/infrastructure/telemetry/StandardOutput.ts": "writes to the descriptor of standard output",
  "src/infrastructure/http/body/BodyBytes.ts": "reads the bytes from Node's parser",
  "src/infrastructure/http/edge/MethodNotAllowed.ts": "Node lists the methods that it accepts",
  "src/infrastructure/http/edge/Caller.ts": "hashes and compares in constant time",
  "src/infrastructure/config/Loopback.ts": "Node checks whether an address is in a subnet",
  "src/infrastructure/embedded-postgres/EmbeddedPostgres.ts": "asks the system for a free port",
  "src/infrastructure/embedded-postgres/EmbeddedPostgresBinaries.ts":
    "finds programs in node_modules and links libraries",
  "src/infrastructure/embedded-postgres/EmbeddedPostgresDirectory.ts":
    "makes a directory with owners and modes",
  "src/infrastructure/embedded-postgres/EmbeddedPostgresIdentity.ts": "runs programs as another user",
  "src/infrastructure/embedded-postgres/EmbeddedPostgresOwner.ts": "inspects and signals other processes",
  "src/infrastructure/embedded-postgres/EmbeddedPostgresServer.ts": "runs PostgreSQL as a child process",
  "src/infrastructure/postgres/client/TlsOptions.ts": "the TLS options of Node",
  "src/infrastructure/postgres/client/WatchedSockets.ts": "observes the traffic of a socket"
}

/** Unstable modules of Effect are allowed in the outer layers only; these are the exceptions, with the reason. */
const unstableInside: Readonly<Record<string, { readonly module: string; readonly why: string }>> = {
  "src/application/OrderPlatform.ts": { module: "effect/crypto", why: "the layer of the digests" },
  "src/application/intake/PooledRandom.ts": {
    module: "effect/crypto",
    why: "makes the random bytes of the ids"
  },
  "src/application/intake/Submission.ts": { module: "effect/crypto", why: "ids are UUIDv7" },
  "src/application/intake/SubmitOrders.ts": { module: "effect/crypto", why: "ids are UUIDv7" },
  "src/application/intake/Idempotency.ts": {
    module: "effect/crypto",
    why: "requests are compared by their digests"
  },
  "src/application/ports/OrderProcessor.ts": {
    module: "effect/sql",
    why: "the type of the errors that an app's own writes may have"
  }
}

/** Packages that only one folder may import. */
const homeOf: Readonly<Record<string, string>> = {
  "@effect/sql-pg": "infrastructure/postgres",
  "@effect/vitest": "testing",
  yaml: "infrastructure/config"
}

/** The only file that imports a package by a computed name: the one for the current operating system. */
const computedImports = ["src/infrastructure/embedded-postgres/EmbeddedPostgresBinaries.ts"]

const computed = "(computed)"

/** The imports of a source, types included: own files by path, packages by name. */
const importsOf = (file: string, source: string): ReadonlyArray<string> => {
  const { errors, module } = parseSync(file, source)
  if (errors.length > 0) throw new Error(`${file} cannot be parsed: ${errors[0]?.message}`)
  const asked = [
    ...module.staticImports.map(({ moduleRequest }) => moduleRequest.value),
    ...module.staticExports.flatMap(({ entries }) => entries.map((entry) => entry.moduleRequest?.value)),
    ...module.dynamicImports.map(
      ({ moduleRequest: { end, start } }) =>
        /^(["'`])([^$]*)\1$/.exec(source.slice(start, end))?.[2] ?? computed
    )
  ]
  const wanted = asked.filter((request) => request !== undefined)
  return wanted.map((request) => (request.startsWith(".") ? path.posix.join(file, "..", request) : request))
}

const isOurs = (imported: string) => /^(src|migrations)\//.test(imported) || imported === "package.json"

const layerOf = (file: string): string | undefined => {
  if (file.startsWith("migrations/")) return "migrations"
  if (file === "package.json" || /^src\/[^/]+$/.test(file)) return "root"
  const [, layer] =
    /^src\/(domain|contract|concurrency|testing|processes|cli|application\/[^/.]+(?=\/)|application(?=\/[^/]+$)|infrastructure\/[^/]+)\//.exec(
      file
    ) ?? []
  return layer
}

/** Layers that a file of this layer may import; `application` stands for all of its rooms. */
const allowed = (layer: string): ReadonlyArray<string> => {
  switch (layer) {
    case "domain":
    case "concurrency":
      return [layer]
    case "contract":
      return ["domain", "contract"]
    case "application/ports":
      return ["domain", "concurrency", "application/ports"]
    case "application":
      return ["domain", "concurrency", "application"]
    case "migrations":
      return ["migrations"]
    case "testing":
      return ["testing", "infrastructure/memory", "application", "domain"]
    case "processes":
    case "cli":
      return [
        layer,
        "root",
        "domain",
        "contract",
        "concurrency",
        "application",
        "infrastructure",
        "migrations"
      ]
    default:
      return layer.startsWith("application/")
        ? [layer, "domain", "concurrency", "application/ports"]
        : [
            layer,
            "domain",
            "contract",
            "concurrency",
            "application",
            ...(layer === "infrastructure/postgres" ? ["migrations"] : [])
          ]
  }
}

const mayImport = (layer: string, imported: string) =>
  allowed(layer).some((each) => imported === each || imported.startsWith(`${each}/`))

type Rule = (file: string, source: string, imports: ReadonlyArray<string>) => ReadonlyArray<string>

const inward: Rule = (file, _, imports) => {
  const layer = layerOf(file)
  if (layer === undefined) return [`${file} is in no layer`]
  if (layer === "root") return []
  return imports
    .filter((imported) => isOurs(imported) && !mayImport(layer, layerOf(imported) ?? ""))
    .map((imported) => `${file} imports ${imported}: ${layer} may not`)
}

const packages: Rule = (file, _, imports) => {
  const layer = layerOf(file)
  return imports
    .filter((imported) => !isOurs(imported))
    .filter((imported) => {
      if (imported === "effect") return false
      if (imported === computed) return !computedImports.includes(file)
      if (imported.startsWith("node:") || imported.startsWith("@effect/platform-node")) {
        return layer !== "root" && layer !== "processes" && nodeItself[file] === undefined
      }
      if (imported.startsWith("effect/")) {
        return (
          /^(domain|application|concurrency)\b/.test(layer ?? "") && unstableInside[file]?.module !== imported
        )
      }
      return homeOf[imported] !== layer
    })
    .map((imported) => `${file} imports ${imported}: not from here`)
}

const byPattern =
  /(^|\/)(utils?|helpers?|common|misc|types?)(\/|\.ts$)|[a-z](Utils?|Helpers?|Manager|Impl|Live)\.ts$/

const names: Rule = (file) => [
  ...(byPattern.test(file) ? [`${file} is named by a pattern instead of its purpose`] : []),
  ...(/^src\/(?!processes\/).*\/[^A-Z/][^/]*\.ts$/.test(file)
    ? [`${file} is not named in PascalCase by its main export`]
    : [])
]

/** Everything in these sources that breaks a rule, as sentences. */
const broken = (sources: Sources): ReadonlyArray<string> => {
  const graph = new Map(Object.entries(sources).map(([file, source]) => [file, importsOf(file, source)]))
  const single = Object.entries(sources).flatMap(([file, source]) =>
    [inward, packages, names].flatMap((rule) => rule(file, source, graph.get(file) ?? []))
  )
  return [...single, ...cycles(graph)]
}

const cycles = (graph: ReadonlyMap<string, ReadonlyArray<string>>): ReadonlyArray<string> => {
  const done = new Set<string>()
  const found: Array<string> = []
  const visit = (file: string, way: ReadonlyArray<string>): void => {
    if (way.includes(file)) {
      found.push(`circular import: ${[...way.slice(way.indexOf(file)), file].join(" -> ")}`)
    } else if (!done.has(file)) {
      for (const imported of graph.get(file) ?? []) visit(imported, [...way, file])
      done.add(file)
    }
  }
  for (const file of graph.keys()) visit(file, [])
  return found
}

const root = fileURLToPath(new URL("..", import.meta.url))

const sources: Sources = Object.fromEntries(
  ["src", "migrations"]
    .flatMap((folder) =>
      fs
        .readdirSync(path.join(root, folder), { recursive: true, encoding: "utf8" })
        .map((file) => `${folder}/${file.replaceAll(path.sep, "/")}`)
    )
    .filter((file) => file.endsWith(".ts"))
    .sort()
    .map((file) => [file, fs.readFileSync(path.join(root, file), "utf8")])
)

describe("the architecture", () => {
  it("the sources follow every rule", () => {
    assert.isAbove(Object.keys(sources).length, 50)
    assert.deepStrictEqual(broken(sources), [])
  })

  it("every exception is still needed", () => {
    const imports = (file: string) => importsOf(file, sources[file] ?? "")
    const ofNode = Object.keys(nodeItself).filter(
      (file) => !imports(file).some((imported) => /^(node:|@effect\/platform-node)/.test(imported))
    )
    const ofUnstable = Object.entries(unstableInside).filter(
      ([file, { module }]) => !imports(file).includes(module)
    )
    const ofComputed = computedImports.filter((file) => !imports(file).includes(computed))
    assert.deepStrictEqual([ofNode, ofUnstable, ofComputed], [[], [], []])
  })

  it.each<[what: string, sources: Sources, sentence: string]>([
    [
      "the domain imports only the domain",
      { "src/domain/A.ts": `import { B } from "../application/B.ts"` },
      "src/domain/A.ts imports src/application/B.ts: domain may not"
    ],
    [
      "the application imports no adapter, not even a type",
      { "src/application/A.ts": `import type { B } from "../infrastructure/memory/B.ts"` },
      "src/application/A.ts imports src/infrastructure/memory/B.ts: application may not"
    ],
    [
      "only root files import root files",
      { "src/infrastructure/http/A.ts": `import { B } from "../../Environment.ts"` },
      "src/infrastructure/http/A.ts imports src/Environment.ts: infrastructure/http may not"
    ],
    [
      "an adapter imports no sibling, not even by a re-export",
      { "src/infrastructure/http/A.ts": `export * from "../postgres/B.ts"` },
      "src/infrastructure/http/A.ts imports src/infrastructure/postgres/B.ts: infrastructure/http may not"
    ],
    [
      "an adapter imports no sibling, not even dynamically",
      { "src/infrastructure/sqs/A.ts": `export const b = () => import("../memory/B.ts")` },
      "src/infrastructure/sqs/A.ts imports src/infrastructure/memory/B.ts: infrastructure/sqs may not"
    ],
    [
      "only the PostgreSQL adapter imports migrations",
      { "src/infrastructure/memory/A.ts": `import b from "../../../migrations/0001_b.ts"` },
      "src/infrastructure/memory/A.ts imports migrations/0001_b.ts: infrastructure/memory may not"
    ],
    [
      "a migration imports no other source, since it must never change",
      { "migrations/0001_a.ts": `import { b } from "../src/domain/B.ts"` },
      "migrations/0001_a.ts imports src/domain/B.ts: migrations may not"
    ],
    [
      "a migration imports no package but effect",
      { "migrations/0001_a.ts": `import { PgClient } from "@effect/sql-pg"` },
      "migrations/0001_a.ts imports @effect/sql-pg: not from here"
    ],
    [
      "the test kit imports the memory adapters and no others",
      { "src/testing/A.ts": `import { B } from "../infrastructure/postgres/B.ts"` },
      "src/testing/A.ts imports src/infrastructure/postgres/B.ts: testing may not"
    ],
    [
      "production code does not import the test kit",
      { "src/application/A.ts": `import { B } from "../testing/B.ts"` },
      "src/application/A.ts imports src/testing/B.ts: application may not"
    ],
    [
      "every file is in a layer",
      { "src/infrastructure/A.ts": `import { Effect } from "effect"` },
      "src/infrastructure/A.ts is in no layer"
    ],
    [
      "only root files and the listed files import Node",
      { "src/infrastructure/http/A.ts": `import { readFile } from "node:fs/promises"` },
      "src/infrastructure/http/A.ts imports node:fs/promises: not from here"
    ],
    [
      "only root files and the listed files import platform-node",
      { "src/application/A.ts": `import { NodeRuntime } from "@effect/platform-node"` },
      "src/application/A.ts imports @effect/platform-node: not from here"
    ],
    [
      "inner layers import no unstable modules",
      { "src/application/A.ts": `import { SqlClient } from "effect/sql"` },
      "src/application/A.ts imports effect/sql: not from here"
    ],
    [
      "only the PostgreSQL adapter imports the driver",
      { "src/infrastructure/http/A.ts": `import { PgClient } from "@effect/sql-pg"` },
      "src/infrastructure/http/A.ts imports @effect/sql-pg: not from here"
    ],
    [
      "an undeclared package is found",
      { "src/infrastructure/http/A.ts": `import _ from "lodash"` },
      "src/infrastructure/http/A.ts imports lodash: not from here"
    ],
    [
      "no import is computed",
      { "src/application/A.ts": "export const load = (name: string) => import(`./${name}.ts`)" },
      "src/application/A.ts imports (computed): not from here"
    ],
    [
      "no file is named by a pattern",
      { "src/application/OrderUtils.ts": "" },
      "src/application/OrderUtils.ts is named by a pattern instead of its purpose"
    ],
    [
      "no folder is named by a pattern",
      { "src/domain/types/Order.ts": "" },
      "src/domain/types/Order.ts is named by a pattern instead of its purpose"
    ],
    [
      "a file is named by what it exports",
      { "src/domain/retry-policy.ts": "" },
      "src/domain/retry-policy.ts is not named in PascalCase by its main export"
    ],
    [
      "nothing imports in a circle",
      {
        "src/domain/A.ts": `import "./B.ts"`,
        "src/domain/B.ts": `import type { C } from "./C.ts"`,
        "src/domain/C.ts": `export { a } from "./A.ts"`
      },
      "circular import: src/domain/A.ts -> src/domain/B.ts -> src/domain/C.ts -> src/domain/A.ts"
    ]
  ])("%s", (_what, sources, sentence) => {
    assert.deepStrictEqual(broken(sources), [sentence])
  })
})
