import { Duration, Effect } from "effect"
import * as Net from "node:net"

/** Between two looks at the sockets. Time is counted in looks: a process that was frozen has not listened meanwhile. */
const lookMillis = 250

/** An answer that takes this many looks casts doubt on every connection that was not heard from either. */
const doubtful = 4

class WatchedSocket extends Net.Socket {
  /** Looks since it was asked something that it has not answered; null if it owes nothing. */
  waiting: number | null = null
  /** Looks since anything came from it. */
  unheard = 0

  override _write(...args: Parameters<Net.Socket["_write"]>): void {
    this.waiting ??= 0
    super._write(...args)
  }
  override _writev(...args: Parameters<NonNullable<Net.Socket["_writev"]>>): void {
    this.waiting ??= 0
    super._writev?.(...args)
  }
  override push(chunk: unknown, encoding?: BufferEncoding): boolean {
    this.waiting = null
    this.unheard = 0
    return super.push(chunk, encoding)
  }
}

/**
 * Makes the sockets of one pool and watches them, because a network that drops packets without a word, as after
 * the failure of a firewall or a machine, tells nobody: every connection of the pool would be tried in vain, one time limit
 * after the other. Once an answer takes a second, the connections that owe none and were silent as long are closed, which the
 * pool mends; one that waits in the midst of a transaction looks the same, and loses it. One that still owes its answer
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
      socket.unheard++
      if (socket.waiting !== null && ++socket.waiting === doubtful) doubt = true
    }
    for (const socket of sockets) {
      const { unheard, waiting } = socket
      if (waiting === null ? doubt && unheard >= doubtful : waiting > mostLooks) socket.destroy()
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
