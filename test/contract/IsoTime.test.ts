import { assert, describe, it } from "@effect/vitest"
import { DateTime, Result, Schema } from "effect"
import { IsoTime } from "../../src/contract/IsoTime.ts"
import { validationIssues } from "../../src/domain/ValidationIssues.ts"

const decode = Schema.decodeUnknownResult(IsoTime)
const readAs = (text: string) => Result.map(decode(text), DateTime.formatIso)

describe("an ISO 8601 time", () => {
  it.each([
    ["2026-11-22T12:00:03Z", "2026-11-22T12:00:03.000Z"],
    ["2026-11-22t12:00:03z", "2026-11-22T12:00:03.000Z"],
    ["2026-11-22T12:00Z", "2026-11-22T12:00:00.000Z"],
    ["2026-11-22T12:00:03.5Z", "2026-11-22T12:00:03.500Z"],
    ["2026-11-22T12:00:03,5Z", "2026-11-22T12:00:03.500Z"],
    ["2026-11-22T12:00:03.123999999999Z", "2026-11-22T12:00:03.123Z"],
    ["2026-11-22T13:00:03+01:00", "2026-11-22T12:00:03.000Z"],
    ["2026-11-22T13:00:03+01", "2026-11-22T12:00:03.000Z"],
    ["2026-11-22T13:30:03+0130", "2026-11-22T12:00:03.000Z"],
    ["2026-11-22T12:00:03-00:00", "2026-11-22T12:00:03.000Z"],
    ["2026-11-22T12:00:03-23:59", "2026-11-23T11:59:03.000Z"],
    ["2028-02-29T00:30:00+01:00", "2028-02-28T23:30:00.000Z"],
    ["0000-01-01T00:00:00Z", "0000-01-01T00:00:00.000Z"],
    ["9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"],
    ["2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000Z"],
    ["2016-12-31T23:59:60.7Z", "2017-01-01T00:00:00.000Z"],
    ["1990-12-31T15:59:60-08:00", "1991-01-01T00:00:00.000Z"]
  ] as const)("is accepted in every form of the standard and returned in one: %s", (text, expected) => {
    assert.deepStrictEqual(readAs(text), Result.succeed(expected))
  })

  it.each([
    ["2026-02-30T00:00:00Z", "There is no day 2026-02-30 in the calendar"],
    ["2027-02-29T12:00:00+01:00", "There is no day 2027-02-29 in the calendar"],
    ["2026-13-01T00:00:00Z", "There is no day 2026-13-01 in the calendar"],
    ["2026-00-10T00:00:00Z", "There is no day 2026-00-10 in the calendar"],
    ["0000-01-01T00:00:00+01:00", "Expected a time in the years 0000 to 9999, in UTC"],
    ["9999-12-31T23:59:59-01:00", "Expected a time in the years 0000 to 9999, in UTC"],
    [
      "2026-11-22T23:59:60Z",
      "Second 60 is a leap second, which is possible only in the last minute of a month in UTC"
    ],
    [
      "2026-11-30T12:00:60Z",
      "Second 60 is a leap second, which is possible only in the last minute of a month in UTC"
    ],
    [
      "9999-12-31T23:59:60Z",
      "Second 60 is a leap second, which is possible only in the last minute of a month in UTC"
    ],
    ["2026-11-22T12:00:00 01:00", / like 2026-11-22T12:00:03Z or .*; in a query, write \+ as %2B$/],
    ...[
      "",
      "x",
      "2026-11-22",
      "2026-11-22T12:00:00",
      "2026-11-22 12:00:00Z",
      "2026-11-22T24:00:00Z",
      "2026-11-22T12:60:00Z",
      "2026-11-22T12:00:61Z",
      "2026-11-22T12:00:00.Z",
      "2026-11-22T12:00:00+24:00",
      "2026-11-22T12:00:00+01:60",
      "2026-11-22T12:00:00Z ",
      "10000-01-01T00:00:00Z",
      "+002026-11-22T12:00:00Z",
      "20261122T120000Z",
      "1790000000"
    ].map((text) => [text, /^Expected an ISO 8601 time with a zone, like .*\+01:00$/] as const)
  ] as const)("is refused with the reason when it is not valid: %s", (text, message) => {
    const issues = Result.match(decode(text), { onSuccess: () => [], onFailure: validationIssues })
    assert.strictEqual(issues.length, 1, text)
    if (typeof message === "string") assert.strictEqual(issues[0]?.message, message)
    else assert.match(issues[0]?.message ?? "", message)
  })
})
