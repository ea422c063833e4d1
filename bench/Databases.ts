import { connect, type Sql } from "../chaos/Sql.ts"
import type { Contender } from "./Contenders.ts"
import { addFinalOrders, now } from "./Tables.ts"

export interface Opened {
  readonly url: string
  /** The database's time before the backlog was inserted. */
  readonly backlogSince: string
}

/** A database for each turn, all on one server; the one with millions of final orders is kept between rounds. */
export interface Databases {
  readonly open: (contender: Contender, backlog: number) => Promise<Opened>
  readonly close: (contender: Contender) => Promise<void>
  /** Creates an empty database. */
  readonly create: (name: string) => Promise<string>
  readonly drop: (name: string) => Promise<void>
}

const nameOf = (contender: Contender) => `bench_${contender.name.toLowerCase().replace(/[^a-z0-9]+/g, "_")}`

export const databasesOf = (
  server: string,
  admin: Sql,
  directory: string,
  print: (line: string) => void
): Databases => {
  const kept = new Set<string>()
  const create = async (name: string) => {
    await drop(name)
    await admin.query(`CREATE DATABASE "${name}"`)
    const url = new URL(server)
    url.pathname = `/${name}`
    return url.href
  }
  const drop = async (name: string) => {
    await admin.query(`DROP DATABASE IF EXISTS "${name}" WITH (FORCE)`)
  }

  const urlOf = async (contender: Contender, sinceBacklog: number) => {
    const name = nameOf(contender)
    if (kept.has(name)) return new URL(`/${name}`, server).href
    const url = await create(name)
    await contender.prepare(url, sinceBacklog, directory)
    return url
  }

  const addMillions = async (contender: Contender, sql: Sql) => {
    const count = contender.settledBefore ?? 0
    if (count === 0 || kept.has(nameOf(contender))) return
    await addFinalOrders(sql, count, (done) => {
      if (done % 500_000 === 0) print(`    ${done / 1e6} million final orders`)
    })
    kept.add(nameOf(contender))
  }

  return {
    create,
    drop,
    open: async (contender, backlog) => {
      const before = await now(admin)
      const url = await urlOf(contender, backlog)
      const sql = connect(url)
      try {
        await addMillions(contender, sql)
        const backlogSince = contender.settledBefore === undefined ? before : await now(sql)
        if (backlog > 0) await contender.table?.addBacklog(sql, backlog)
        await sql.query("VACUUM (ANALYZE)")
        await admin.query("CHECKPOINT")
        return { url, backlogSince }
      } finally {
        await sql.close()
      }
    },
    close: async (contender) => {
      if (!kept.has(nameOf(contender))) await drop(nameOf(contender))
    }
  }
}
