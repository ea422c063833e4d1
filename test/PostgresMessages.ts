/** The request for TLS, which precedes the startup message. */
const sslRequest = 80_877_103

/**
 * Returns the types of the complete messages that a client sends: a type byte and a length, except for those that begin
 * a connection. Source: PostgreSQL documentation, "Message Formats".
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
