// What the types of the Node.js client allow, and what they refuse: .ci/run has tsc look at it.
import { BrokerError, TokenClient, type Token, type Verdict } from '../../../clients/node/index.js';

const tokens = new TokenClient({ socket: '/run/broker.sock', app: 'default', timeout: 5 });

export async function worker(label: object): Promise<number> {
  await tokens.waitReady({ slots: ['bearer', 'payment'], minValid: 60, timeout: 30 });
  const bearer: Token = await tokens.bearer();
  const east: Token = await tokens.payment('east');
  const headers = await tokens.headers({ payment: 'east' });
  await fetch(headers.baseUrl, { headers });
  await fetch(headers.baseUrl, { headers: { ...headers, Accept: 'application/json' } });
  const verdict: Verdict = await tokens.report({ status: 401, headers: new Headers(), body: '{}', path: '/x', host: 'apis.usps.com', used: headers });
  await tokens.report({ status: 401, used: [bearer, east] });
  await tokens.report({ status: 401, used: { bearer: bearer.serial } });
  if (verdict.retry && verdict.headers) await fetch(headers.baseUrl, { headers: verdict.headers });
  const response = await tokens.fetch('https://apis.usps.com/labels/v3/label', { method: 'POST', body: JSON.stringify(label), payment: false });
  const missing: string[] = await tokens.unready();
  const fix: string | undefined = response.uspsTokenVerdict?.fix ?? response.uspsTokenError?.fix;
  return missing.length + (fix?.length ?? 0);
}

export const pause = (error: unknown): number => (error instanceof BrokerError && !error.permanent ? (error.retryAfter ?? 1) : 0);

// @ts-expect-error a socket is a path
new TokenClient({ socket: 5 });
// @ts-expect-error it does not change
tokens.bearer().then((token) => (token.value = 'x'));
// @ts-expect-error a report says what the call was made with
tokens.report({ status: 401 });
// @ts-expect-error true is said by leaving it out
tokens.fetch('https://apis.usps.com', { payment: true });
