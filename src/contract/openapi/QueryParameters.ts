/**
 * Describes the query parameters of an operation, which the derived document describes only as strings. A parameter
 * that the document does not have is added.
 */
export const describeParameters =
  (descriptions: Readonly<Record<string, object>>) => (operation: Record<string, unknown>) => {
    const parameters = operation["parameters"] as ReadonlyArray<{
      readonly name: string
      readonly in: string
    }>
    const isQuery = (name: string) => parameters.some((it) => it.name === name && it.in === "query")
    return {
      ...operation,
      parameters: [
        ...parameters.map((it) => (it.in === "query" ? { ...it, ...descriptions[it.name] } : it)),
        ...Object.entries(descriptions)
          .filter(([name]) => !isQuery(name))
          .map(([name, description]) => ({ name, in: "query", required: false, ...description }))
      ]
    }
  }

/** The schema of the parameter `limit`. */
export const limitDescription = { schema: { type: "integer", minimum: 1, maximum: 200, default: 50 } }
