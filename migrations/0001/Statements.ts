/** The statements of one part of a migration. The argument is the quoted name of the schema. */
export type Statements = (schema: string) => ReadonlyArray<string>
