// Tests the package as an app gets it: packs it, installs it into an empty project with only effect, platform-node and
// sql-pg, type-checks the shop example there in strict mode, runs it against a real PostgreSQL, and checks what was
// installed. `npm run test:package`; npm needs its registry.

import { Context, Effect, Exit, Layer, Redacted, Scope } from "effect"
import { strict as assert } from "node:assert"
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import packageJson from "../package.json" with { type: "json" }
import { EmbeddedPostgres } from "../src/infrastructure/embedded-postgres/EmbeddedPostgres.ts"
import { freePort, start } from "../test/examples/ExampleProcess.ts"
import { shopScenario } from "../test/examples/shopScenario.ts"

const root = fileURLToPath(new URL("..", import.meta.url))
const project = fs.mkdtempSync(path.join(os.tmpdir(), "order-platform-embedder-"))
const scope = Scope.makeUnsafe()

const npm = (...args: ReadonlyArray<string>) =>
  execFileSync("npm", [...args, "--no-audit", "--no-fund", "--loglevel", "error"], {
    cwd: project,
    encoding: "utf8"
  })

const installed = () =>
  fs
    .readdirSync(path.join(project, "node_modules"), { recursive: true, encoding: "utf8" })
    .map((file) => file.replaceAll(path.sep, "/"))

const database = async (): Promise<string> => {
  if (process.env["DATABASE_URL"]) return process.env["DATABASE_URL"]
  const layer = EmbeddedPostgres.layer({ dataDirectory: path.join(project, "data"), durable: false })
  const context = await Effect.runPromise(Layer.buildWithScope(layer, scope))
  return Redacted.value(Context.get(context, EmbeddedPostgres).url)
}

try {
  const [{ filename }] = JSON.parse(
    execFileSync("npm", ["pack", "--json", "--pack-destination", project, "--loglevel", "error"], {
      cwd: root,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "inherit"]
    }).replace(/^[^[]*/, "")
  ) as [{ filename: string }]
  const { "@effect/platform-node": node, "@effect/sql-pg": pg, effect } = packageJson.devDependencies
  fs.writeFileSync(
    path.join(project, "package.json"),
    JSON.stringify({ name: "shop", private: true, type: "module" })
  )
  npm("install", `./${filename}`, `effect@${effect}`, `@effect/platform-node@${node}`, `@effect/sql-pg@${pg}`)

  const files = installed()
  const copies = files.filter((file) => /(^|\/)effect\/package\.json$/.test(file) && !/dist|src/.test(file))
  assert.deepEqual(copies, ["effect/package.json"], "one copy of effect")
  const binaries = files.filter((file) =>
    /(^|\/)(node-(linux|darwin|win)-|@embedded-postgres|@order-platform|bin\/(node|postgres|initdb)$)/.test(
      file
    )
  )
  assert.deepEqual(binaries, [], "no Node, no PostgreSQL, nothing of the clone's workspace")
  console.log(`installed ${files.length} files: one copy of effect, no Node, no PostgreSQL`)

  fs.cpSync(path.join(root, "examples/shop"), path.join(project, "shop"), { recursive: true })
  fs.writeFileSync(
    path.join(project, "tsconfig.json"),
    JSON.stringify({
      compilerOptions: {
        target: "ES2024",
        lib: ["ES2024"],
        module: "NodeNext",
        strict: true,
        exactOptionalPropertyTypes: true,
        noUncheckedIndexedAccess: true,
        allowImportingTsExtensions: true,
        noEmit: true,
        types: ["node"],
        // The compiler and Node's types are the repository's, so that nothing else is installed with the package.
        typeRoots: [path.join(root, "node_modules/@types")],
        skipLibCheck: true
      },
      include: ["shop"]
    })
  )
  const tsc = path.join(root, "node_modules/typescript/bin/tsc")
  execFileSync(process.execPath, [tsc, "-p", project], { cwd: project, stdio: "inherit" })
  console.log("the shop example type-checks in strict mode")

  const port = String(await freePort())
  const DATABASE_URL = await database()
  const shop = start(["shop/main.ts"], { DATABASE_URL, PORT: port }, project)
  try {
    await shopScenario(`http://127.0.0.1:${port}`, shop.output)
  } finally {
    await shop.stop()
  }
  console.log("the shop example runs against PostgreSQL")

  const bin = path.join(project, "node_modules/.bin/order-platform")
  assert.match(execFileSync(bin, ["--version"], { encoding: "utf8" }), new RegExp(packageJson.version))
  console.log("bin says its version")
} finally {
  await Effect.runPromise(Scope.close(scope, Exit.void))
  fs.rmSync(project, { recursive: true, force: true, maxRetries: 3 })
}
