import type { TestContext } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import { chromium } from "playwright-core"

const candidates = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"]

const executablePath = [process.env["CHROMIUM_PATH"] ?? "", ...candidates].find((path) => fs.existsSync(path))

/** Skips tests on a machine without Chromium, with the reason. Use it as `beforeEach(skipWithoutBrowser)`. */
export const skipWithoutBrowser = ({ skip }: TestContext): void => {
  if (executablePath === undefined)
    skip(`No Chromium on this machine: set CHROMIUM_PATH, or install it as ${candidates[0]}.`)
}

// Root needs --no-sandbox; the other options stop Chromium's own network calls.
const args = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync"
]

/** A headless Chromium until the scope ends; for tests with `skipWithoutBrowser`. */
const launchBrowser = (moreArgs: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.promise(() =>
      chromium.launch({
        args: [...args, ...moreArgs],
        headless: true,
        timeout: 30_000,
        ...(executablePath && { executablePath })
      })
    ),
    (browser) =>
      Effect.ignore(
        Effect.timeout(
          Effect.promise(() => browser.close()),
          "10 seconds"
        )
      )
  )

/** An empty page of such a browser with more arguments, whose calls end after 30 seconds. */
export const openPageWith = (...moreArgs: ReadonlyArray<string>) =>
  Effect.flatMap(launchBrowser(moreArgs), (browser) =>
    Effect.promise(async () => {
      const page = await browser.newPage()
      page.setDefaultTimeout(30_000)
      return page
    })
  )

/** An empty page of such a browser, whose calls end after 30 seconds. */
export const openPage = openPageWith()
