import { defineConfig } from "vitest/config"
import base from "./vitest.config.ts"

/** Tests that take a minute, or need programs which npm cannot bring; CI installs those and runs these as well. */
export default defineConfig({ ...base, test: { ...base.test, include: ["test/external/**/*.external.ts"] } })
