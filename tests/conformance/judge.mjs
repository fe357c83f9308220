// Judges one run of the suite by the checks that it saved:
//
//   node judge.mjs TARGET RUN RESULTS --passes-min N     nothing may fail, and N must pass
//   node judge.mjs TARGET RUN RESULTS --required FILE    what FILE lists for RUN must pass

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const [target, run, results, rule, value] = process.argv.slice(2);

// Folders are named server-SCENARIO-TIMESTAMP and hold a checks.json each.
const readScenarios = () => {
  const scenarios = new Map();
  for (const entry of readdirSync(results, { withFileTypes: true })) {
    const name = /^server-(.+)-\d{4}-\d\d-\d\dT[\d-]+Z$/.exec(entry.name)?.[1];
    if (!entry.isDirectory() || !name) continue;
    scenarios.set(name, JSON.parse(readFileSync(join(results, entry.name, 'checks.json'), 'utf8')));
  }
  return scenarios;
};

// Lines are "RUN SCENARIO", "RUN SCENARIO:CHECK" or "RUN *:CHECK"; "#" starts a
// comment.
const readRequired = (file) =>
  readFileSync(file, 'utf8')
    .split('\n')
    .map((line) => line.replace(/#.*/, '').trim().split(/\s+/))
    .filter(([of]) => of === run)
    .map(([, item]) => item);

const describe = (scenario, check) => `${scenario}:${check.id}: ${check.errorMessage ?? check.status}`;

// Why a required item does not pass; empty when it does.
const objections = (all, item) => {
  const [scenario, id] = item.split(':');
  const checks = all.filter(([of, check]) => (scenario === '*' || of === scenario) && (!id || check.id === id));
  // A single required check must succeed each time it occurs. A whole scenario may
  // also hold warnings and remarks, as in the suite's own verdict.
  const bad = checks.filter(([, check]) => (id ? check.status !== 'SUCCESS' : check.status === 'FAILURE'));
  if (bad.length > 0) return bad.map(([of, check]) => describe(of, check));
  return checks.some(([, check]) => check.status === 'SUCCESS') ? [] : [`${item}: did not run`];
};

const all = [...readScenarios()].flatMap(([scenario, checks]) => checks.map((check) => [scenario, check]));
const passed = all.filter(([, check]) => check.status === 'SUCCESS').length;
const failures = all.filter(([, check]) => check.status === 'FAILURE');

let problems;
let summary = `${target} ${run}: ${passed} passed, ${failures.length} failed`;
if (rule === '--passes-min') {
  problems = failures.map(([scenario, check]) => describe(scenario, check));
  if (passed < Number(value)) problems.push(`only ${passed} checks passed, ${value} are expected`);
} else {
  const required = readRequired(value);
  const unmet = required.filter((item) => objections(all, item).length > 0);
  problems = unmet.flatMap((item) => objections(all, item));
  if (required.length === 0) problems.push(`nothing is required of the run ${run}`);
  summary += `; required: ${required.length - unmet.length} of ${required.length}`;
}

console.log(`${summary} ${problems.length === 0 ? 'ok' : 'FAILED'}`);
for (const problem of problems) console.log(`  ${problem}`);
process.exit(problems.length === 0 ? 0 : 1);
