// Conditions that several functions share. `moment`, `default_max_running` and `default_rate` are parameters or
// variables of the function.

/** Whether the pause `p`, a row of `order_pauses`, is in force. */
export const isInForce = (p: string) => `(${p}.resume_at IS NULL OR ${p}.resume_at > moment)`

/** Whether a pause in force covers this type and group. The pause of everything is checked separately. */
export const isPaused = (s: string, type: string, group: string) => `EXISTS (
  SELECT FROM ${s}.order_pauses p
  WHERE p.type IN ('', ${type}) AND p.group_name IN ('', ${group}) AND (p.type <> '' OR p.group_name <> '')
    AND ${isInForce("p")})`

/** The limits of the row `g` of `order_groups`, where a limit that was not set has its default. */
export const maxRunningOf = (g: string) => `coalesce(${g}.max_running, default_max_running)`
export const rateOf = (g: string) => `coalesce(${g}.rate_per_second, default_rate)`

/**
 * The tokens of the row `g` at `moment`: a bucket of max(1, rate) tokens, full at first, into which `rate` tokens
 * flow per second. Each start takes one.
 */
export const tokensOf = (g: string) => `least(
  greatest(1, ${rateOf(g)}),
  coalesce(${g}.tokens + (extract(epoch FROM moment - ${g}.refilled_at) * 1000)::float8 * ${rateOf(g)} / 1000, 'infinity'))`

/** A token is whole if only rounding keeps it from one. */
export const tokenTolerance = 1e-6

/** When the next token is whole. The factor keeps rounding from making it a millisecond later. */
export const nextTokenAt = (tokens: string, rate: string) =>
  `moment + ceil((1 - ${tokens}) * 1000 / ${rate} * 0.999999999::float8) * interval '1 millisecond'`

/** The number of running orders of a group, counted up to `max`. */
export const runningOf = (s: string, group: string, max: string) => `(
  SELECT count(*)::integer FROM (
    SELECT FROM ${s}.order_running r WHERE r.group_name = ${group} AND r.group_name <> '' LIMIT ${max}) AS counted)`

/**
 * When the limits of a group allow another start: `moment` or earlier (or null) if they do now, the time of the next
 * token, and infinity if as many orders run as may run.
 */
export const allowedAt = (s: string, group: string) => `(
  SELECT CASE
    WHEN ${maxRunningOf("g")} IS NOT NULL AND ${runningOf(s, group, maxRunningOf("g"))} >= ${maxRunningOf("g")}
      THEN 'infinity'::timestamptz
    WHEN ${tokensOf("g")} + ${tokenTolerance} < 1
      THEN ${nextTokenAt(tokensOf("g"), rateOf("g"))} END
  FROM ${s}.order_groups g WHERE g.group_name = ${group} AND ${group} <> '')`
