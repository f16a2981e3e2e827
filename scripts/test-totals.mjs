// Adds up what vitest's JSON reporter wrote: `node scripts/test-totals.mjs FILE ...`. One line, and exit code 1 where anything failed or a
// file is missing: a run that broke off has passed nothing.
import { readFileSync } from "node:fs";

/** Tests of one run by outcome. A file that could not be loaded has no tests and counts as one that failed. */
function totals(path) {
  let run;
  try {
    run = JSON.parse(readFileSync(path, "utf8"));
  } catch {
    console.error(`${path} is missing: its run broke off`);
    return { passed: 0, failed: 1, skipped: 0 };
  }
  const broken = run.testResults.filter(
    ({ status, assertionResults }) => status === "failed" && !assertionResults.some((test) => test.status === "failed"),
  );
  for (const { name, message } of broken) console.error(`${name}: ${message}`);
  const failed = run.numFailedTests + broken.length;
  // Errors outside of any test (a promise that nobody waited for) fail a run without failing a test.
  return {
    passed: run.numPassedTests,
    failed: failed === 0 && !run.success ? 1 : failed,
    skipped: run.numPendingTests + run.numTodoTests,
  };
}

const files = process.argv.slice(2);
const all = files.map(totals);
const sum = (outcome) => all.reduce((count, run) => count + run[outcome], 0);
console.log(`tests: ${sum("passed")} passed, ${sum("failed")} failed, ${sum("skipped")} skipped`);
process.exitCode = files.length === 0 || sum("failed") > 0 ? 1 : 0;
