/**
 * Whether the tests run in full, as CI does once (`TESTS=whole npm test`). Otherwise those that take long run in a short
 * form, and processes start from a bundle.
 */
export const isWholeForm = process.env["TESTS"] === "whole"
