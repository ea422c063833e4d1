import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument } from "yaml"
import type { Document, ErrorCode, Node, Pair, ParsedNode, YAMLMap, YAMLSeq } from "yaml"
import { nearestKey } from "../../domain/NearestKey.ts"
import { sectionsOf } from "./SettingsTree.ts"

/** The settings of a YAML document, each with its text and place, and the problems of the document. */
export interface YamlSettings {
  readonly settings: ReadonlyMap<string, { readonly text: string; readonly place: string }>
  readonly problems: ReadonlyArray<string>
}

/** The keys of the supported settings, of those not yet supported, and of those that may be lists or sections. */
interface KnownKeys {
  readonly keys: ReadonlySet<string>
  readonly notYetSupported: ReadonlySet<string>
  readonly lists: ReadonlySet<string>
  readonly sections: ReadonlySet<string>
}

/**
 * Reads settings out of YAML 1.2. A scalar keeps its source text (`1e3`, `007`), so that it means the same as
 * in the environment. Null and empty text count as not set. A list becomes a text with commas if its key is
 * in `lists`, and sections become JSON if it is in `sections`. Dotted keys are read as nested ones.
 */
export const yamlSettings = (file: string, yaml: string, known: KnownKeys): YamlSettings => {
  const lineCounter = new LineCounter()
  // Pretty errors and the parser's messages are not used, because they quote the file, which may contain a password.
  const document = parseDocument(yaml, {
    lineCounter,
    prettyErrors: false,
    stringKeys: true,
    logLevel: "error"
  })
  const placeOf = (offset: number) => {
    const { col, line } = lineCounter.linePos(offset)
    return `${file}:${line}:${col}`
  }
  const [broken] = [...document.errors, ...document.warnings]
  if (broken !== undefined) {
    const problem = syntaxProblems[broken.code] ?? `is not valid YAML (${broken.code})`
    return { settings: new Map(), problems: [`${placeOf(broken.pos[0])} ${problem}.`] }
  }
  const reader = new Reader(document, known, placeOf)
  const root = resolved(document, document.contents)
  if (isMap(root)) reader.section(root, "")
  else if (!isEmpty(root)) reader.problems.push(`${file} ${notASection}.`)
  return reader
}

/** Collects the settings and problems of a document with valid syntax. */
class Reader implements YamlSettings {
  readonly settings = new Map<string, { text: string; place: string }>()
  readonly problems: Array<string> = []
  readonly #document: Document
  readonly #known: KnownKeys
  readonly #sections: ReadonlySet<string>
  readonly #placeOf: (offset: number) => string

  constructor(document: Document, known: KnownKeys, placeOf: (offset: number) => string) {
    this.#document = document
    this.#known = known
    this.#sections = sectionsOf([...known.keys, ...known.notYetSupported])
    this.#placeOf = placeOf
  }

  section(section: YAMLMap, prefix: string) {
    for (const { key, value } of section.items as ReadonlyArray<Pair<ParsedNode, ParsedNode | null>>) {
      const name = isScalar(key) ? String(key.value) : ""
      this.#entry(prefix + name, resolved(this.#document, value), this.#placeOf(key.range[0]))
    }
  }

  #entry(key: string, value: Node | undefined, keyPlace: string) {
    const place = value?.range ? this.#placeOf(value.range[0]) : keyPlace
    if (isAlias(value)) this.problems.push(`${place} ${missingAnchor}.`)
    else if (this.#known.keys.has(key) || this.#known.notYetSupported.has(key)) {
      if (isEmpty(value)) return
      if (this.settings.has(key)) this.problems.push(`${key} (${keyPlace}) is given twice.`)
      else this.#setting(key, value, place)
    } else if (this.#sections.has(key)) {
      if (isMap(value)) this.section(value, `${key}.`)
      // The value is not shown, because it may be a connection URL in place of the section.
      else if (!isEmpty(value)) this.problems.push(`${key} (${place}) ${notASection}.`)
    } else this.#unknown(key, keyPlace)
  }

  #setting(key: string, value: Node | undefined, place: string) {
    if (isScalar(value)) this.settings.set(key, { text: value.source ?? String(value.value), place })
    else if (this.#known.notYetSupported.has(key)) this.settings.set(key, { text: "", place })
    else if (isSeq(value) && this.#known.lists.has(key)) this.#list(key, value, place)
    else if (isMap(value) && this.#known.sections.has(key))
      this.settings.set(key, { text: JSON.stringify(this.#json(value)), place })
    else
      this.problems.push(
        `${key} (${place}) is a ${isSeq(value) ? "list" : "section"}: it must be a single value.`
      )
  }

  #list(key: string, list: YAMLSeq, place: string) {
    const texts = (list.items as ReadonlyArray<Node | null>)
      .map((item) => resolved(this.#document, item))
      .map((item) => (isScalar(item) && !isEmpty(item) ? (item.source ?? String(item.value)) : null))
    if (texts.includes(null))
      this.problems.push(`${key} (${place}) has an element that is not a single value.`)
    else if (texts.length > 0) this.settings.set(key, { text: texts.join(","), place })
  }

  // A scalar keeps its source text. A list, or an alias without an anchor, becomes an empty list, which no setting
  // allows.
  #json(node: Node | undefined): unknown {
    if (isEmpty(node)) return null
    if (isScalar(node)) return node.source ?? String(node.value)
    if (!isMap(node)) return []
    const entries = node.items as ReadonlyArray<Pair<ParsedNode, ParsedNode | null>>
    return Object.fromEntries(
      entries.map(({ key, value }) => [
        isScalar(key) ? String(key.value) : "",
        this.#json(resolved(this.#document, value))
      ])
    )
  }

  #unknown(key: string, place: string) {
    // Text that does not look like a key is not shown, because it may be a misplaced value such as a password.
    const meant = nearestKey(key, [...this.#known.keys, ...this.#sections])
    const hint = meant === undefined ? "." : `; did you mean ${meant}?`
    const name = /^[\w.-]{1,100}$/.test(key) ? `${key} (${place})` : `The key at ${place}`
    this.problems.push(`${name} is not a known setting${hint}`)
  }
}

// An alias whose anchor is missing stays an alias. `Reader` reports it, because the parser does not.
const resolved = (document: Document, node: Node | null): Node | undefined =>
  isAlias(node) ? (node.resolve(document) ?? node) : (node ?? undefined)

const notASection = "is a single value or a list: it must be a section of settings"

const isEmpty = (node: Node | undefined) =>
  node === undefined || (isScalar(node) && (node.value === null || node.value === ""))

const missingAnchor = "refers to an anchor that does not exist"

const syntaxProblems: Partial<Record<ErrorCode, string>> = {
  BAD_ALIAS: "has an anchor or alias without a valid name",
  BAD_INDENT: "is not valid YAML: the indentation is wrong",
  DUPLICATE_KEY: "repeats a key of this section",
  MULTIPLE_DOCS: "begins a second document: only one is allowed",
  NON_STRING_KEY: "has a key that is not text",
  TAB_AS_INDENT: "is not valid YAML: it is indented with a tab",
  TAG_RESOLVE_FAILED: "has an unknown tag (!)"
}
