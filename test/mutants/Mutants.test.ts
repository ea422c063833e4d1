import { assert, describe, it } from "@effect/vitest"
import { existsSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { mutants } from "./Mutants.ts"

const pathOf = (file: string) => fileURLToPath(new URL(`../../${file}`, import.meta.url))
const isApplicable = (file: string, find: string) =>
  existsSync(pathOf(file)) && readFileSync(pathOf(file), "utf8").split(find).length === 2

describe("mutants", () => {
  it("each applies to the current code and names existing tests", () => {
    assert.deepStrictEqual(
      mutants.filter(({ file, find }) => !isApplicable(file, find)).map(({ name }) => name),
      []
    )
    assert.deepStrictEqual(
      mutants.flatMap(({ tests }) => tests).filter((test) => !existsSync(pathOf(test))),
      []
    )
  })
})
