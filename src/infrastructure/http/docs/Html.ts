/** Text that is HTML already; only `html` makes any. */
export class Html {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

type Part = string | number | Html | undefined | ReadonlyArray<Part>

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;"
}

const write = (part: Part): string => {
  if (part === undefined) return ""
  if (part instanceof Html) return part.text
  if (typeof part === "object") return part.map(write).join("")
  return String(part).replaceAll(/[&<>"']/g, (character) => entities[character] ?? "")
}

/** A template of HTML: whatever is put into it is escaped, but for HTML made in the same way. */
export const html = (strings: TemplateStringsArray, ...parts: ReadonlyArray<Part>): Html =>
  new Html(strings.map((text, place) => text + write(parts[place])).join(""))

/** Text with `code` in it, as the descriptions of the contract are written. */
export const prose = (text: string): Html =>
  html`${text.split("`").map((part, place) => (place % 2 === 0 ? html`${part}` : html`<code>${part}</code>`))}`

/** Parts with something between each two. */
export const separated = (parts: ReadonlyArray<Html>, separator: Html): Html =>
  html`${parts.map((part, place) => (place === 0 ? part : html`${separator}${part}`))}`
