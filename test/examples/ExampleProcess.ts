import { spawn } from "node:child_process"

export { freePort } from "../../chaos/FreePort.ts"

/** An example that runs as a process of its own. */
export interface ExampleProcess {
  /** What it said so far, on both outputs. */
  readonly said: () => string
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
  let said = ""
  child.stdout.setEncoding("utf8").on("data", (text: string) => void (said += text))
  child.stderr.setEncoding("utf8").on("data", (text: string) => void (said += text))
  const ended = new Promise<number | null>((resolve) => child.on("close", resolve))
  const stop = async () => {
    child.kill("SIGTERM")
    const late = setTimeout(() => child.kill("SIGKILL"), 25_000)
    await ended
    clearTimeout(late)
  }
  return { said: () => said, ended, stop }
}

/** Asks every 50 ms until the answer is there, at most for 20 s; then says what was wrong last. */
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
