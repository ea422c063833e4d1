/**
 * Whether tests of random histories run in their whole form. CI has that once (`TESTS=whole npm test`); without it they
 * are as many as say something in a few seconds.
 */
export const isWholeForm = process.env["TESTS"] === "whole"
