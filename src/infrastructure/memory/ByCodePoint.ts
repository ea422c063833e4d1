/** Maps a UTF-16 code unit so that surrogates (code points beyond U+FFFF) sort after all others. */
const rank = (unit: number) => (unit < 0xd800 ? unit : unit < 0xe000 ? unit + 0x2000 : unit - 0x800)

/** Compares texts by code point, as PostgreSQL does with the collation "C"; null first. `<` compares UTF-16 units. */
export const byCodePoint = (a: string | null, b: string | null): number => {
  if (a === b) return 0
  if (a === null) return -1
  if (b === null) return 1
  const shorter = Math.min(a.length, b.length)
  for (let n = 0; n < shorter; n++) {
    const difference = rank(a.charCodeAt(n)) - rank(b.charCodeAt(n))
    if (difference !== 0) return difference
  }
  return a.length - b.length
}
