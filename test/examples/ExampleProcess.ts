import { spawn } from "node:child_process"

export { freePort } from "../../chaos/FreePort.ts"

/** An example that runs as a process. */
export interface ExampleProcess {
  /** Its output so far, stdout and stderr. */
  readonly output: () => string
  /** Its exit code. */
  readonly ended: Promise<number | null>
  readonly stop: () => Promise<void>
}

/** Starts Node with these arguments. */
export const start = (
  args: ReadonlyArray<string>,
  environment: Readonly<Record<string, string>> = {},
  cwd = process.cwd()
): ExampleProcess => {
  const { PATH = "" } = process.env
  const child = spawn(process.execPath, args, { cwd, env: { PATH, ...environment } })
  let output = ""
  child.stdout.setEncoding("utf8").on("data", (text: string) => void (output += text))
  child.stderr.setEncoding("utf8").on("data", (text: string) => void (output += text))
  const ended = new Promise<number | null>((resolve) => child.on("close", resolve))
  const stop = async () => {
    child.kill("SIGTERM")
    const late = setTimeout(() => child.kill("SIGKILL"), 25_000)
    await ended
    clearTimeout(late)
  }
  return { output: () => output, ended, stop }
}

/** Polls every 50 ms for at most 20 s, then fails with the last error. */
export const eventually = async <A>(ask: () => Promise<A | undefined>, what: () => string): Promise<A> => {
  const end = Date.now() + 20_000
  let trouble: unknown
  while (Date.now() < end) {
    try {
      const answer = await ask()
      if (answer !== undefined) return answer
    } catch (error) {
      trouble = error
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`It did not happen within 20 s: ${what()} ${String(trouble ?? "")}`)
}
