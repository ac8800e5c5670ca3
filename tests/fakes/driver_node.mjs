/**
 * Drives the Node.js client: a question a line on standard input, its answer a line on standard output.
 * `language_clients.py` says which questions there are. Its clock can be moved.
 */
import cluster from 'node:cluster';
import { syncBuiltinESMExports } from 'node:module';
import os from 'node:os';
import { createInterface } from 'node:readline';
import { inspect } from 'node:util';

const real = os.uptime;
let ahead = 0;
os.uptime = () => real() + ahead;
syncBuiltinESMExports();
const { BrokerError, TokenClient } = await import('../../clients/node/index.js');

const tokenFacts = (token) => {
  const { slot, app, serial, expiresAt: expires_at, scopes, degraded, value } = token;
  return { slot, app, serial, expires_at, scopes, degraded, value };
};
const headerFacts = (headers) => {
  const { serials, app, baseUrl: base_url, degraded } = headers;
  // As fetch reads them.
  const names = { authorization: 'Authorization', 'x-payment-authorization-token': 'X-Payment-Authorization-Token' };
  const values = Object.fromEntries([...new Headers(headers)].map(([name, value]) => [names[name] ?? name, value]));
  return { serials, app, base_url, degraded, values };
};
const verdictFacts = ({ code, outcome, retry, detail, fix }) => ({ code, outcome, retry, detail, fix });

let client;
const calls = {
  new: (options) => void (client = new TokenClient(options)),
  advance: ({ seconds }) => void (ahead += seconds),
  become: ({ uid }) => void (process.setegid(uid), process.seteuid(uid)),
  bearer: async () => tokenFacts(await client.bearer()),
  payment: async ({ name }) => tokenFacts(await client.payment(name)),
  headers: async ({ payment }) => headerFacts(await client.headers({ payment })),
  report: async (said) => verdictFacts(await client.report({ ...said, used: said.payment ? { serials: said.used, payment: said.payment } : said.used })),
  status: () => client.status(),
  unready: ({ slots = [], min_valid }) => client.unready({ ...(slots.length && { slots }), minValid: min_valid }),
  wait_ready: async ({ slots, timeout }) => void (await client.waitReady({ slots, timeout })),
  at_once: async ({ times }) => new Set(await Promise.all(Array.from({ length: times }, async () => (await client.bearer()).value))).size,
  printed: async () => {
    const things = [await client.bearer(), await client.headers({ payment: true }), client];
    return [inspect(things), inspect(things, { showHidden: true, depth: 9 }), ...things.map(String), JSON.stringify(things)].join('\n');
  },
  fetch: async ({ url, method, headers, body, payment, stream, redirect, request, given_up }) => {
    const content = stream ? new Blob([body]).stream() : body;
    const init = { method, headers, body: content, redirect, ...(stream && { duplex: 'half' }) };
    const giving = new AbortController();
    if (given_up) setImmediate(() => giving.abort());
    const response = await (request ? client.fetch(new Request(url, { ...init, signal: giving.signal }), { payment }) : client.fetch(url, { ...init, payment, signal: giving.signal }));
    const text = await response.text();
    const { status, statusText, uspsTokenVerdict: verdict, uspsTokenError: error } = response;
    return { status, said: statusText, text, verdict: verdict && verdictFacts(verdict), error: error?.code };
  },
  fork: ({ socket }) => new Promise((resolve, reject) => {
    cluster.setupPrimary({ exec: import.meta.filename ?? new URL(import.meta.url).pathname, args: ['--worker', socket] });
    const worker = cluster.fork();
    let said;
    worker.on('message', (message) => { said = message; });
    worker.on('exit', (code) => (code === 0 ? resolve(said) : reject(new Error(`the worker ended with ${code}`))));
  }),
};

async function answer(line) {
  const { call, ...rest } = JSON.parse(line);
  try {
    return { gives: (await calls[call](rest)) ?? null };
  } catch (error) {
    if (!(error instanceof BrokerError)) return { raised: `${error?.name}: ${error?.message}` };
    const { code, permanent, retryAfter: retry_after, detail, fix, message } = error;
    return { error: { code, permanent, retry_after, detail, fix, message, trace: inspect(error, { depth: 9, showHidden: true }) } };
  }
}

if (cluster.isWorker) {
  const { value } = await new TokenClient({ socket: process.argv[3] }).bearer();
  process.send({ value, pid: process.pid }, () => process.disconnect());
} else {
  for await (const line of createInterface({ input: process.stdin })) {
    process.stdout.write(`${JSON.stringify(await answer(line))}\n`);
  }
}
