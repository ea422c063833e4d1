import { Duration, Effect } from "effect"
import * as Net from "node:net"

/** Between two looks at the sockets. Time is counted in looks: a process that was frozen has not listened meanwhile. */
const lookMillis = 250

/** An answer that takes this many looks casts doubt on every connection that was not heard from either. */
const doubtful = 4

const code = (letter: string) => letter.charCodeAt(0)
const readyForQuery = code("Z")
const commandComplete = code("C")

/** How many bytes of each message are looked at: its type, its length, and the first of what it says. */
const lookedAt = 6

class WatchedSocket extends Net.Socket {
  /** Looks since it was asked something, or last said a part of the answer; null if it owes nothing. */
  waiting: number | null = null
  /** Looks since anything came from it. */
  unheard = 0
  /** Nothing is in progress on it: no transaction, and nobody waits for notifications, which come unasked. */
  isIdle = false

  #listens = false
  /** The beginning of the message that is coming in, and how much of it is there. */
  readonly #head = Buffer.alloc(lookedAt)
  #headed = 0
  /** How many bytes of this message are still to come, and of no interest. */
  #toSkip = 0

  override _write(...args: Parameters<Net.Socket["_write"]>): void {
    this.waiting ??= 0
    super._write(...args)
  }
  override _writev(...args: Parameters<NonNullable<Net.Socket["_writev"]>>): void {
    this.waiting ??= 0
    super._writev?.(...args)
  }
  override push(chunk: unknown, encoding?: BufferEncoding): boolean {
    this.unheard = 0
    if (this.waiting !== null) this.waiting = 0
    if (chunk instanceof Uint8Array) this.#follow(chunk)
    return super.push(chunk, encoding)
  }

  // Source: PostgreSQL documentation, "Message Formats". On one of these connections a statement is sent only after the
  // answer to the one before it: so once the server is ready, nothing is owed.
  #follow(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length;) {
      if (this.#toSkip > 0) {
        const skipped = Math.min(this.#toSkip, chunk.length - at)
        this.#toSkip -= skipped
        at += skipped
        continue
      }
      this.#head[this.#headed++] = chunk[at++] ?? 0
      const length = this.#headed >= 5 ? this.#head.readInt32BE(1) : Infinity
      // A message that says nothing ends with its length.
      if (this.#headed < Math.min(lookedAt, 1 + length)) continue
      this.#toSkip = Math.max(0, 1 + length - this.#headed)
      this.#headed = 0
      this.#heard(this.#head[0], length, this.#head[5])
    }
  }

  #heard(type: number | undefined, length: number, first: number | undefined): void {
    // Of all commands with six letters only LISTEN begins so. What listened once is left alone for good.
    if (type === commandComplete && length === 4 + "LISTEN\0".length && first === code("L"))
      this.#listens = true
    if (type !== readyForQuery) return
    this.waiting = null
    this.isIdle = first === code("I") && !this.#listens
  }
}

/**
 * Makes the sockets of one pool and watches them, because a network that drops packets without a word, as after
 * the failure of a firewall or a machine, tells nobody: every connection of the pool would be tried in vain, one time limit
 * after the other. Once an answer takes a second, the connections that are idle and were silent as long are closed, which the
 * pool mends: none that is in a transaction, listens, or is read from slowly. One that still owes its answer
 * after `answerWithin`, when the server itself would have given up, is closed, too.
 */
export const watchedSockets = Effect.fnUntraced(function* (
  { host, port }: { readonly host: string; readonly port: number },
  answerWithin: Duration.Duration
) {
  const sockets = new Set<WatchedSocket>()
  const mostLooks = Duration.toMillis(answerWithin) / lookMillis

  const lookOnce = () => {
    let doubt = false
    for (const socket of sockets) {
      // Nothing can be heard from one that nobody reads: what is asked of it is more than its reader can take for now.
      if (socket.isPaused()) continue
      socket.unheard++
      if (socket.waiting !== null && ++socket.waiting === doubtful) doubt = true
    }
    for (const socket of sockets) {
      const { isIdle, unheard, waiting } = socket
      if (waiting === null ? doubt && isIdle && unheard >= doubtful : waiting > mostLooks) socket.destroy()
    }
  }
  // By Node's timer, because sockets live in real time, whatever the clock of the program is.
  yield* Effect.acquireRelease(
    Effect.sync(() => setInterval(lookOnce, lookMillis).unref()),
    (timer) => Effect.sync(() => clearInterval(timer))
  )

  return (): Net.Socket => {
    const socket = new WatchedSocket()
    sockets.add(socket)
    socket.on("close", () => sockets.delete(socket))
    socket.setNoDelay(true)
    // What is idle and was forgotten is found out by the kernel.
    socket.setKeepAlive(true, 10_000)
    return socket.connect({ host, port })
  }
})
