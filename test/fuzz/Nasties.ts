import type { Chance } from "./Chance.ts"

/** Texts that often break programs. */
export const nastyText = (chance: Chance): string =>
  chance.pick<() => string>([
    () => "",
    () => " ",
    () => "\u0000",
    () => "a\u0000b",
    () => "\u202Eabc\uFEFF",
    () => "😀".repeat(chance.below(40)),
    () => "'; DROP TABLE orders; --",
    () => "%' OR '1'='1",
    () => "${7*7}{{7*7}}<script>alert(1)</script>",
    () => "../../../../etc/passwd",
    () => "__proto__",
    () => "constructor",
    () => "toString",
    () => "null",
    () => "NaN",
    () => "-0",
    () => "1e400",
    () => "9007199254740993",
    () => "0x10",
    () => "2026-02-31T00:00:00Z",
    () => "0000-01-01T00:00:00Z",
    () => "0000-01-01T00:00:00+01:00",
    () => "9999-12-31T23:59:59.999999-23:59",
    () => "2016-12-31t23:59:60z",
    () => "2026-11-22T13:00,5+01",
    () => "+275760-09-13T00:00:00.001Z",
    () => "\\",
    () => '"',
    () => "a".repeat(chance.below(3000)),
    () => "00000000-0000-7000-8000-000000000000",
    () => "00000000-0000-7000-8000-00000000ABCD",
    () => `urn:uuid:00000000-0000-7000-8000-000000000000`,
    () => "\u0000number 1",
    () => `${"😀".repeat(512)}${chance.pick(["", "x"])}`,
    () => "PENDING",
    () => String(chance.below(300))
  ])()

/** The same in a URL: escaped, partly escaped or escaped wrongly. */
export const nastyEscape = (chance: Chance): string =>
  chance.pick<() => string>([
    () => encodeURIComponent(nastyText(chance)),
    () => encodeURIComponent(nastyText(chance)),
    () => "%",
    () => "%zz",
    () => "%ff%fe",
    () => "%c3%A9%C3%a9",
    () => "%30%30%30%30%30%30%30%30-0000-7000-8000-%30000000000ab",
    () => "%ED%A0%80",
    () => "%C0%80",
    () => "%2F..%2F",
    () => "%00",
    () => "%252e",
    () => ";a=b",
    () => "[]",
    () => "*"
  ])()

/** JSON texts, some of them invalid. */
export const nastyJson = (chance: Chance, depth = 0): string =>
  chance.pick<() => string>([
    () => JSON.stringify(nastyText(chance)),
    () => '"\\ud800"',
    () => '{"\\udc00":1}',
    () => '{"__proto__":{"polluted":true},"constructor":1}',
    () => "1e400",
    () => "-0",
    () => "1e-400",
    () => "9007199254740993",
    () => "-1e15",
    () => "90071992547409.93",
    () => `0.1${"0".repeat(chance.below(40))}1`,
    () => `${"9".repeat(chance.below(400))}.5`,
    () => "4.9e-324",
    () => `[${"[".repeat(chance.below(9000))}1e-400`,
    () => '{"payload":{"a":1.00000000000000000001}}',
    () => "0.1e1",
    () => "01",
    () => "tru",
    () => "null",
    () => "true",
    () => `${"[".repeat(chance.below(9000))}`,
    () => `${"[".repeat(500)}${"]".repeat(500)}`,
    () => `{"a":`.repeat(70) + "1" + "}".repeat(70),
    () => (depth > 4 ? "1" : `[${nastyJson(chance, depth + 1)},${nastyJson(chance, depth + 1)}]`),
    () => (depth > 4 ? "1" : `{"payload":${nastyJson(chance, depth + 1)}}`),
    () => (depth > 4 ? "1" : `{${JSON.stringify(nastyText(chance))}:${nastyJson(chance, depth + 1)}}`),
    () => '{"a":1,"a":2}',
    () => "{'a':1}",
    () => "",
    () => "\uFEFF{}",
    () => "[1,]",
    () => "Infinity"
  ])()

/** Malformed or barely valid HTTP. The server has to close the connection. */
export const nastyBytes = (chance: Chance): Buffer => {
  const path = chance.pick([
    "/orders",
    "/dlq",
    "/health/live",
    "/nothing",
    "*",
    "//",
    "http://other.example/orders"
  ])
  const head = (method: string, lines: string) =>
    Buffer.from(
      `${method} ${path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n${lines}\r\n`,
      "latin1"
    )
  return chance.pick<() => Buffer>([
    () => Buffer.from(Array.from({ length: 1 + chance.below(200) }, () => chance.below(256))),
    () => head("GET", "x: \0\r\n"),
    () => head("GET", `x: ${"a".repeat(chance.below(20_000))}\r\n`),
    () => head("GET", "a:b\r\n".repeat(chance.below(2500))),
    () => head("G@T", ""),
    () => head("get", ""),
    () => head("CONNECT", ""),
    () => head("TRACE", ""),
    () => head("PRI", ""),
    () => head("POST", "content-length: -1\r\n"),
    () => head("POST", "content-length: 2\r\ncontent-length: 3\r\n"),
    () => head("POST", "content-length: 99999999999999999999\r\n"),
    () => head("POST", "content-length: 2\r\ntransfer-encoding: chunked\r\n"),
    () => head("POST", "transfer-encoding: gzip, chunked\r\n"),
    () =>
      Buffer.concat([head("POST", "transfer-encoding: chunked\r\n"), Buffer.from("zz\r\n{}\r\n0\r\n\r\n")]),
    () =>
      Buffer.concat([head("POST", "transfer-encoding: chunked\r\n"), Buffer.from("2\r\n{}\r\n0\r\n\r\n")]),
    () => head("POST", "expect: tea\r\n"),
    () => head("GET", "upgrade: websocket\r\nconnection: upgrade\r\n"),
    () => head("GET", "upgrade: h2c\r\nconnection: upgrade\r\n"),
    () => head("GET", "host: y\r\n"),
    () => head("GET", "authorization: \xff\xfe\r\ncookie: \x80=\x81\r\n"),
    () => Buffer.from(`GET ${path} HTTP/1.1\r\nconnection: close\r\n\r\n`),
    () => Buffer.from(`GET ${path} HTTP/9.9\r\n\r\n`),
    () => Buffer.from(`GET ${path}\r\n\r\n`),
    () => Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    () => Buffer.from("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "latin1")
  ])()
}
