import { performance } from "node:perf_hooks"
import { setTimeout as sleep } from "node:timers/promises"
import { Client } from "undici"

// The load generator: a process of its own, the same for all. Each connection is kept alive and has one request under
// way. `undici`'s dispatch, because node:http would take as much of the two cores as the servers it measures.
// Arguments: {"url", "connections", "ms"} sends as fast as it is answered; with "perSecond" at that rate on average; with
// "least" goes on until so many are accepted, but not beyond ten times "ms".
// Prints one line of JSON: accepted, refused, seconds, latencies in milliseconds, and the same for each second.

const { connections, least = 0, ms, perSecond, url } = JSON.parse(process.argv[2] ?? "{}")
const body = JSON.stringify({ payload: { item: "book", quantity: 1 } })
const request = { path: "/orders", method: "POST", headers: { "content-type": "application/json" }, body }

const latencies = []
const seconds = []
let refused = 0
const began = performance.now()
const end = began + ms
const isOver = () => {
  const now = performance.now()
  return now >= end && (latencies.length >= least || now >= began + 10 * ms)
}

class Connection {
  constructor() {
    this.client = new Client(url, { pipelining: 1, bodyTimeout: 20_000, headersTimeout: 20_000 })
    this.done = new Promise((resolve) => (this.resolve = resolve))
  }
  send() {
    this.sentAt = performance.now()
    this.client.dispatch(request, this)
  }
  next() {
    if (perSecond !== undefined || isOver()) this.resolve()
    else this.send()
  }
  onRequestStart() {}
  onResponseStart(_controller, status) {
    this.status = status
  }
  onResponseData() {}
  onResponseEnd() {
    const now = performance.now()
    if (this.status === 202) {
      const second = Math.floor((now - began) / 1000)
      latencies.push(now - this.sentAt)
      ;(seconds[second] ??= []).push(now - this.sentAt)
    } else refused++
    this.next()
  }
  onResponseError() {
    refused++
    // A server that refuses must not be asked in a busy loop.
    setTimeout(() => this.next(), 50)
  }
}

const asFastAsAnswered = async () => {
  const all = Array.from({ length: connections }, () => new Connection())
  for (const connection of all) connection.send()
  await Promise.all(all.map(({ done }) => done))
  await Promise.all(all.map(({ client }) => client.close()))
}

// Not evenly spaced, so that no poll of a server keeps step with it.
const atRate = async () => {
  const connection = new Connection()
  while (!isOver()) {
    await sleep((1000 / perSecond) * (0.5 + Math.random()))
    connection.done = new Promise((resolve) => (connection.resolve = resolve))
    connection.send()
    await connection.done
  }
  await connection.client.close()
}

const at = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
const summary = (values) => {
  const sorted = Float64Array.from(values).sort()
  return { accepted: sorted.length, p50: at(sorted, 0.5), p99: at(sorted, 0.99) }
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
