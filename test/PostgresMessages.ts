/** What asks whether the server speaks TLS; the message that begins the connection comes after it. */
const sslRequest = 80_877_103

/**
 * The types of what a client sends, as whole messages: a type byte and a length, but for those that begin a
 * connection. Source: PostgreSQL documentation, "Message Formats".
 */
export const messages = () => {
  let pending: Buffer = Buffer.alloc(0)
  let begun = false
  return (chunk: Uint8Array): ReadonlyArray<string> => {
    pending = Buffer.concat([pending, chunk])
    const types: Array<string> = []
    for (;;) {
      const typed = begun ? 1 : 0
      if (pending.length < typed + 4) return types
      const length = typed + pending.readInt32BE(typed)
      if (pending.length < length) return types
      if (begun) types.push(String.fromCharCode(pending[0] ?? 0))
      else begun = pending.readInt32BE(4) !== sslRequest
      pending = pending.subarray(length)
    }
  }
}
