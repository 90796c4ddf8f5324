// What every program does but for its client; see report.py, which has the jobs and the lines that are printed.

import { createInterface } from "node:readline";

export const MODEL = "toy-1";
export const FAILED = ["response.failed", "response.incomplete", "error"];
const MOST_SHOWN = 300; // characters of a message

// Do all jobs. stream: takes a job and what shows a piece, and returns { final, finished }.
export async function run(stream) {
  const print = process.stdout.write.bind(process.stdout);
  process.stdout.write = process.stderr.write.bind(process.stderr);
  for await (const job of jobs()) {
    print(`${JSON.stringify(await done(stream, job))}\n`);
  }
}

async function* jobs() {
  const given = { input: "count to 9", key: "any", attempts: 1 };
  const [url, input] = process.argv.slice(2);
  if (url !== undefined) {
    yield { ...given, url, ...(input !== undefined && { input }) };
    return;
  }
  for await (const line of createInterface({ input: process.stdin })) {
    yield { ...given, ...JSON.parse(line) };
  }
}

async function done(stream, job) {
  for (let attempts = 1; ; attempts++) {
    let shown = ""; // what an earlier attempt showed is wiped away
    let ending = { final: null, finished: false };
    let error = null;
    try {
      ending = { ...ending, finished: true, ...(await stream(job, (piece) => (shown += piece))) };
    } catch (raised) {
      error = `${raised?.constructor?.name}: ${raised?.message ?? raised}`.slice(0, MOST_SHOWN);
    }
    if (error === null || attempts >= job.attempts) {
      return { shown, ...ending, error, attempts };
    }
  }
}
