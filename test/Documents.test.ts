import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { settingsTable } from "./SettingsTable.ts"

const root = fileURLToPath(new URL("..", import.meta.url))
const read = (file: string) => fs.readFileSync(path.join(root, file), "utf8")
const between = (text: string, marker: string) => text.split(new RegExp(`<!-- /?${marker} -->`))[1] ?? ""

const markdownIn = (folder: string) =>
  fs
    .readdirSync(path.join(root, folder))
    .filter((file) => file.endsWith(".md"))
    .map((file) => path.join(folder, file))

// docs/api.md is generated, bench/RESULTS.md too.
const documents = [...markdownIn("."), ...markdownIn("docs"), ...markdownIn("docs/adr")].filter(
  (file) => file !== "docs/api.md"
)

const foldersOf = (folder: string): ReadonlyArray<string> =>
  fs
    .readdirSync(path.join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => path.join(path.relative(root, entry.parentPath), entry.name))

describe("the documents", () => {
  it("ARCHITECTURE.md describes every folder of src, and no others", () => {
    const listed = Array.from(
      between(read("ARCHITECTURE.md"), "folders").matchAll(/^- `(src\/.*?)\/?`: ./gm),
      ([, folder = ""]) => folder
    )
    assert.deepStrictEqual(listed.toSorted(), foldersOf("src").toSorted())
  })

  it("every path that a document names exists", () => {
    const named = documents.flatMap((document) =>
      Array.from(
        read(document).matchAll(/(?:src|test|migrations|bin|docs|scripts)\/[\w./-]*\.(?:ts|js|md)\b/g),
        ([file]) => ({ document, file })
      )
    )
    assert.isAbove(named.length, 30)
    assert.deepStrictEqual(
      named.filter(({ file }) => !fs.existsSync(path.join(root, file))),
      []
    )
  })

  it("every link in a document leads to an existing file and heading", () => {
    const anchorOf = (heading: string) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\w\- ]/g, "")
        .replaceAll(" ", "-")
    const hasHeading = (file: string, anchor: string) =>
      Array.from(read(file).matchAll(/^#+ (.*)$/gm), ([, heading = ""]) => anchorOf(heading)).includes(anchor)
    const links = documents.flatMap((document) =>
      Array.from(read(document).matchAll(/\]\(([^)#:]*)(?:#([^)]*))?\)/g), ([link, file = "", anchor]) => ({
        document,
        link,
        file: file === "" ? document : path.join(path.dirname(document), file),
        anchor
      }))
    )
    assert.isAbove(links.length, 40)
    const broken = links.filter(
      ({ anchor, file }) =>
        !fs.existsSync(path.join(root, file)) || (anchor !== undefined && !hasHeading(file, anchor))
    )
    assert.deepStrictEqual(broken, [])
  })

  it("README.md has at most 160 lines, and none over 200 characters outside code", () => {
    const readme = read("README.md")
    const prose = readme.replaceAll(/```.*?```/gs, "").split("\n")
    assert.isAtMost(readme.split("\n").length, 160)
    assert.deepStrictEqual(
      prose.filter((line) => line.length > 200),
      []
    )
  })

  it("README.md and docs/embedding.md show the examples that the tests run", () => {
    for (const [document, example] of [
      ["README.md", "coffee.ts"],
      ["docs/embedding.md", "office.ts"]
    ] as const) {
      const [, shown] = /<!-- example .*? -->\s+```ts\n(.*?)```/s.exec(read(document)) ?? []
      assert.strictEqual(shown, read(`examples/${example}`), document)
    }
  })

  it("docs/settings.md lists every setting with its variable, default and meaning", () => {
    assert.strictEqual(between(read("docs/settings.md"), "settings").trim(), settingsTable().trim())
  })

  it("every promise names tests that exist", () => {
    const promises = between(read("docs/promises.md"), "promises").split(/^- /m).slice(1)
    assert.isAbove(promises.length, 25)
    const unproven = promises.filter((promise) => {
      const named = Array.from(promise.matchAll(/`((?:test|src)\/[^`]*)`: "(.*?)"$/gm))
      return (
        named.length === 0 || named.some(([, file = "", sentence = ""]) => !read(file).includes(sentence))
      )
    })
    assert.deepStrictEqual(unproven, [])
  })
})
