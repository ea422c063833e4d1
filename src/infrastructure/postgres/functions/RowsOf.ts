/**
 * The row ids (`ctid`) of the rows `x` of a table that meet the condition, for each row of `from`, as an array for
 * `ctid = ANY (...)`. Each is one search of an index. A join would read the whole table, if it was planned while the
 * table was empty. Only for rows that no other transaction can change: rows that this transaction has locked, or
 * that change only under the lock of an order that it has locked.
 */
export const rowsOf = (s: string, table: string, from: string, condition: string): string => `ARRAY (
  SELECT found.ctid FROM ${from} CROSS JOIN LATERAL (SELECT x.ctid FROM ${s}.${table} x WHERE ${condition} OFFSET 0) found)`
