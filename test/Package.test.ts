import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import packageJson from "../package.json" with { type: "json" }
import { apiVersion } from "../src/contract/OrderApi.ts"

const root = fileURLToPath(new URL("..", import.meta.url))

describe("the package", () => {
  it("has the same version everywhere", () => {
    assert.strictEqual(apiVersion, packageJson.version)
  })

  it("is tested with versions that its peer dependencies allow", () => {
    const tested: Readonly<Record<string, string>> = packageJson.devDependencies
    const wanted = Object.entries(packageJson.peerDependencies).filter(([name]) => /effect/.test(name))
    assert.deepStrictEqual(
      wanted.map(([name, range]) => [name, range]),
      wanted.map(([name]) => [name, `^${tested[name]}`])
    )
  })

  it("contains neither Node nor PostgreSQL nor files that only the clone needs", () => {
    const brought = Object.keys(packageJson.dependencies)
    assert.deepStrictEqual(brought, ["yaml"])
    assert.deepStrictEqual(
      packageJson.files.filter((file) => /^(src|test|runtime|node_modules)/.test(file)),
      []
    )
  })

  it("exports only files that are built from existing sources", () => {
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
