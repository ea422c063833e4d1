/** Marks the request body of an operation as optional; Effect marks each body as required. */
export const withOptionalBody = (operation: Record<string, unknown>): Record<string, unknown> => ({
  ...operation,
  requestBody: { ...(operation["requestBody"] as object), required: false }
})
