/** The header of the correlation id, in requests and in every response. */
export const correlationIdHeader = "x-correlation-id"

/**
 * 1 to 128 printable ASCII characters, at least one of which is not a space. Such a text is safe in a header,
 * a log line and a database column.
 */
export const isCorrelationId = (text: string): boolean =>
  /^[\x20-\x7E]{1,128}$/.test(text) && text.trim() !== ""
