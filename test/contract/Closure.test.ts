import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { parseSync } from "oxc-parser"

const root = fileURLToPath(new URL("../..", import.meta.url))

/** The modules that a file imports or re-exports, types included, and the names it takes from each. */
const importsOf = (file: string) => {
  const { module } = parseSync(file, fs.readFileSync(path.join(root, file), "utf8"))
  const imported = module.staticImports.map(({ entries, moduleRequest }) => ({
    from: moduleRequest.value,
    names: entries.map(({ importName }) => importName.name ?? "*")
  }))
  const exported = module.staticExports
    .flatMap(({ entries }) => entries)
    .flatMap(({ moduleRequest }) =>
      moduleRequest === null ? [] : [{ from: moduleRequest.value, names: [] }]
    )
  const dynamic = module.dynamicImports.map(() => ({ from: "(dynamic)", names: [] }))
  return [...imported, ...exported, ...dynamic]
}

/** Every source file that the entry imports, directly or not, and what each imports from packages. */
const closureOf = (entry: string) => {
  const files = new Set<string>()
  const packages: Array<{
    readonly file: string
    readonly from: string
    readonly names: ReadonlyArray<string>
  }> = []
  const visit = (file: string): void => {
    if (files.has(file)) return
    files.add(file)
    for (const { from, names } of importsOf(file)) {
      if (from.startsWith(".")) visit(path.posix.join(file, "..", from))
      else packages.push({ file, from, names })
    }
  }
  visit(entry)
  return { files: [...files], packages }
}

describe("order-platform/contract", () => {
  const { files, packages } = closureOf("src/contract.ts")

  it("imports files of domain and contract only, by value or by type", () => {
    assert.isAbove(files.length, 30)
    assert.deepStrictEqual(
      files.filter((file) => !/^src\/(domain|contract)\/|^src\/contract\.ts$/.test(file)),
      []
    )
  })

  it("imports no package but effect, and nothing of Node", () => {
    assert.deepStrictEqual(
      packages.filter(({ from }) => !/^effect(\/|$)/.test(from)),
      []
    )
  })

  it("builds no layer", () => {
    assert.deepStrictEqual(
      packages.filter(({ from, names }) => from === "effect/Layer" || names.includes("Layer")),
      []
    )
  })

  it("the same checks find the layers and Node modules of the whole package", () => {
    const whole = closureOf("src/index.ts")
    assert.isTrue(whole.files.some((file) => file.startsWith("src/infrastructure/")))
    assert.isTrue(whole.packages.some(({ from }) => from.startsWith("node:")))
    assert.isTrue(whole.packages.some(({ names }) => names.includes("Layer")))
  })
})
