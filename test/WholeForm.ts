/**
 * Whether tests of random histories run in full, as CI does once (`TESTS=whole npm test`). Otherwise they run for a few
 * seconds.
 */
export const isWholeForm = process.env["TESTS"] === "whole"
