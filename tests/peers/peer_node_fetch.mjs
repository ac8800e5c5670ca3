#!/usr/bin/env node
// fetch as Node has it built in, which is undici.
// cannot: http1.0 expect

import fs from "node:fs";

const socketPath = process.argv[2];

// Node shows no way to its undici but this one: the agent that the first fetch leaves behind.
if (globalThis.fetch) await fetch("data:,");
const Agent = globalThis[Symbol.for("undici.globalDispatcher.1")]?.constructor;
if (Agent === undefined) {
  process.stderr.write("undici is not installed: this node has no fetch of it\n");
  process.exit(69);
}

async function ask(dispatcher, { method, target, headers, body, chunked }) {
  const options = { dispatcher, method, headers, body: body ?? undefined };
  if (chunked) {
    options.body = new Blob([body]).stream();
    options.duplex = "half";
  }
  const response = await fetch(`http://localhost${target}`, options);
  return {
    status: response.status,
    headers: Object.fromEntries(response.headers),
    body: await response.text(),
  };
}

const plan = JSON.parse(fs.readFileSync(0, "utf8"));
const connections = plan.how === "kept" ? 1 : plan.requests.length;
const dispatcher = new Agent({ connect: { socketPath }, connections });
let answers = [];
if (plan.how === "kept")
  for (const request of plan.requests) answers.push(await ask(dispatcher, request));
else answers = await Promise.all(plan.requests.map((request) => ask(dispatcher, request)));
await dispatcher.close();
process.stdout.write(JSON.stringify(answers));
