// Adds up vitest's JSON reports. Names what failed, and what has no result because it was skipped or its process ended; then one
// line: `tests: N passed, M failed, K skipped`. A test file that broke before any of its tests ran counts as one failure.
'use strict';

const { existsSync, readFileSync } = require('node:fs');
const { relative } = require('node:path');

let passed = 0;
let failed = 0;
let skipped = 0;
for (const path of process.argv.slice(2)) {
  if (!existsSync(path)) continue;
  const report = JSON.parse(readFileSync(path, 'utf8'));
  passed += report.numPassedTests;
  failed += report.numFailedTests;
  skipped += report.numPendingTests + report.numTodoTests;
  for (const { name, status, message, assertionResults } of report.testResults) {
    const file = relative(process.cwd(), name);
    if (status === 'failed' && assertionResults.length === 0) {
      failed += 1;
      console.log(`${file} broke: ${firstLine(message)}`);
    }
    for (const { status: result, fullName, failureMessages } of assertionResults) {
      if (result === 'failed') console.log(`failed: ${file}: ${fullName}: ${firstLine(failureMessages[0])}`);
      else if (result !== 'passed') console.log(`no result (${result}): ${file}: ${fullName}`);
    }
  }
}
console.log(`tests: ${passed} passed, ${failed} failed, ${skipped} skipped`);
process.exitCode = failed === 0 ? 0 : 1;

function firstLine(text = '') {
  return text.split('\n')[0];
}
