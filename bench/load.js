import { connect } from "node:net"
import { performance } from "node:perf_hooks"
import { setTimeout as sleep } from "node:timers/promises"

// The load generator, a separate process and the same for all contenders. Each connection is kept alive and has one
// request in flight. It uses plain sockets and prepared bytes, because an HTTP client needs as much CPU as the servers
// it measures and so hides the fastest of them; of an answer it reads only the status and the Content-Length, and
// of some bulks the results.
// Arguments: {"url", "connections", "ms"} sends as fast as answers arrive; "perSecond" sets an average rate; "min"
// continues until that many orders are accepted, for at most ten times "ms"; "bulk" sends bulks of that many orders.
// Prints one line of JSON: accepted orders, refused requests, seconds, latencies of requests in milliseconds, and the
// same for each second.

const { bulk, connections, min = 0, ms, perSecond, url } = JSON.parse(process.argv[2] ?? "{}")
const order = { payload: { item: "book", quantity: 1 } }
const [path, body] =
  bulk === undefined
    ? ["/orders", JSON.stringify(order)]
    : ["/orders/bulk", JSON.stringify({ orders: Array.from({ length: bulk }, () => order) })]
const { hostname, port } = new URL(url)
const request = Buffer.from(
  `POST ${path} HTTP/1.1\r\nhost: ${hostname}:${port}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`
)
/** An answer that takes longer counts as refused, and its connection is made anew. */
const patience = 20_000

const latencies = []
const seconds = []
let refused = 0
const began = performance.now()
const end = began + ms

/** A bulk is answered 202 even if its orders are refused. Every 16th answer is parsed: all would slow this process. */
const checkBulk = (answer, from) => {
  if (bulk === undefined || latencies.length % 16 !== 0) return
  const json = answer.slice(from)
  const accepted = JSON.parse(json).results.filter(({ orderId }) => orderId !== undefined).length
  if (accepted !== bulk)
    throw new Error(`${accepted} of ${bulk} orders of a bulk were accepted: ${json.slice(0, 1000)}`)
}

const isOver = () => {
  const now = performance.now()
  return now >= end && (latencies.length >= min || now >= began + 10 * ms)
}

class Connection {
  constructor() {
    this.done = new Promise((resolve) => (this.resolve = resolve))
    this.open()
  }
  open() {
    this.answer = ""
    this.sending = false
    this.socket = connect({ host: hostname, port: Number(port), noDelay: true })
    this.socket.setEncoding("latin1")
    this.socket.setTimeout(patience, () => this.socket.destroy())
    this.socket.on("data", (text) => this.read(text))
    this.socket.on("error", () => {})
    this.socket.on("close", () => this.lost())
  }
  send() {
    this.sending = true
    this.sentAt = performance.now()
    this.socket.write(request)
  }
  next() {
    if (perSecond !== undefined || isOver()) this.resolve()
    else this.send()
  }
  read(text) {
    this.answer = this.answer === "" ? text : this.answer + text
    const end = this.answer.indexOf("\r\n\r\n")
    if (end === -1) return
    const [, length] = /\r\ncontent-length: *(\d+)/i.exec(this.answer) ?? []
    if (length === undefined) throw new Error(`an answer without Content-Length: ${this.answer}`)
    if (this.answer.length < end + 4 + Number(length)) return
    const { answer } = this
    this.answer = ""
    this.sending = false
    const now = performance.now()
    if (answer.startsWith("202", 9)) {
      checkBulk(answer, end + 4)
      const second = Math.floor((now - began) / 1000)
      latencies.push(now - this.sentAt)
      ;(seconds[second] ??= []).push(now - this.sentAt)
    } else refused++
    this.next()
  }
  lost() {
    const { sending } = this
    if (this.closed) return
    this.open()
    if (!sending) return
    refused++
    // No busy loop against a server that refuses.
    setTimeout(() => this.next(), 50)
  }
  close() {
    this.closed = true
    this.socket.destroy()
  }
}

const asFastAsAnswered = async () => {
  const all = Array.from({ length: connections }, () => new Connection())
  for (const connection of all) connection.send()
  await Promise.all(all.map(({ done }) => done))
  for (const connection of all) connection.close()
}

// Random intervals, so that they cannot align with the server's polls.
const atRate = async () => {
  const connection = new Connection()
  while (!isOver()) {
    await sleep((1000 / perSecond) * (0.5 + Math.random()))
    connection.done = new Promise((resolve) => (connection.resolve = resolve))
    connection.send()
    await connection.done
  }
  connection.close()
}

const at = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
const summary = (values) => {
  const sorted = Float64Array.from(values).sort()
  return { accepted: sorted.length * (bulk ?? 1), p50: at(sorted, 0.5), p99: at(sorted, 0.99) }
}

await (perSecond === undefined ? asFastAsAnswered() : atRate())
const elapsed = (performance.now() - began) / 1000
console.log(
  JSON.stringify({
    ...summary(latencies),
    refused,
    seconds: elapsed,
    eachSecond: Array.from(seconds, (values) => summary(values ?? []))
  })
)
