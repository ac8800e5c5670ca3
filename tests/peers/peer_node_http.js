#!/usr/bin/env node
// Node's own http module with `socketPath`.
// cannot: http1.0

const http = require("node:http");
const fs = require("node:fs");

const socketPath = process.argv[2];

function ask(agent, { method, target, headers, body, chunked }) {
  return new Promise((resolve, reject) => {
    const options = { agent, socketPath, method, path: target, headers: { ...headers } };
    const bytes = body === null ? null : Buffer.from(body);
    if (bytes !== null && !chunked) options.headers["Content-Length"] = bytes.length;
    if (chunked) options.headers["Transfer-Encoding"] = "chunked";
    const request = http.request(options, (response) => {
      const pieces = [];
      response.on("data", (piece) => pieces.push(piece));
      response.on("error", reject);
      response.on("end", () =>
        resolve({
          status: response.statusCode,
          headers: response.headers,
          body: Buffer.concat(pieces).toString(),
        }),
      );
    });
    request.on("error", reject);
    if (bytes === null) request.end();
    else if (headers.Expect) {
      request.flushHeaders();
      request.on("continue", () => request.end(bytes));
    } else if (chunked) {
      request.write(bytes.subarray(0, 10));
      request.end(bytes.subarray(10));
    } else request.end(bytes);
  });
}

async function main() {
  const plan = JSON.parse(fs.readFileSync(0, "utf8"));
  const kept = plan.how === "kept";
  const agent = new http.Agent({ keepAlive: kept, maxSockets: kept ? 1 : Infinity });
  let answers = [];
  if (kept) for (const request of plan.requests) answers.push(await ask(agent, request));
  else answers = await Promise.all(plan.requests.map((request) => ask(agent, request)));
  agent.destroy();
  process.stdout.write(JSON.stringify(answers));
}

main();
