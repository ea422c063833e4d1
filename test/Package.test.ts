import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import packageJson from "../package.json" with { type: "json" }
import { apiReport } from "../scripts/api-report.ts"
import { apiVersion } from "../src/contract/OrderApi.ts"

const root = fileURLToPath(new URL("..", import.meta.url))

describe("The package", () => {
  it("has the public API that docs/api.md shows: `npm run api` writes it anew, and review sees what changed", () => {
    const reviewed = fs.readFileSync(path.join(root, "docs/api.md"), "utf8")
    const [now, then] = [apiReport().split("\n"), reviewed.split("\n")]
    assert.deepStrictEqual(
      now.filter((line) => !then.includes(line)),
      []
    )
    assert.deepStrictEqual(now, then)
  })

  it("says its version in one voice", () => {
    assert.strictEqual(apiVersion, packageJson.version)
  })

  it("is tested with versions that its peers may have", () => {
    const tested: Readonly<Record<string, string>> = packageJson.devDependencies
    const wanted = Object.entries(packageJson.peerDependencies).filter(([name]) => /effect/.test(name))
    assert.deepStrictEqual(
      wanted.map(([name, range]) => [name, range]),
      wanted.map(([name]) => [name, `^${tested[name]}`])
    )
  })

  it("brings neither Node nor PostgreSQL nor anything of the clone", () => {
    const brought = Object.keys(packageJson.dependencies)
    assert.deepStrictEqual(brought, ["yaml"])
    assert.deepStrictEqual(
      packageJson.files.filter((file) => /^(src|test|runtime|node_modules)/.test(file)),
      []
    )
  })

  it("exports what is built of sources that are there, and nothing else", () => {
    const targets = Object.values(packageJson.exports).flatMap((target) =>
      typeof target === "string" ? [] : [target.types, target.default]
    )
    assert.strictEqual(targets.length, 10)
    for (const target of targets) {
      const source = target.replace(/^\.\/dist\//, "").replace(/(\.d\.ts|\.js)$/, ".ts")
      assert.isTrue(fs.existsSync(path.join(root, source)), source)
    }
  })
})
