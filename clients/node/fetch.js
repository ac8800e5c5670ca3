/** `fetch` for USPS: the headers go on for the app's own host alone, decided anew for each hop of a redirect. */
import { MOST_BODY } from './reporting.js';
import { AUTHORIZATION, PAYMENT } from './values.js';
import { BrokerError } from './errors.js';

/** Where USPS wants the payment token (Labels 3.9.13, Payments 3.1.20). */
const LABELS = ['/labels/', '/international-labels/', '/pmod/', '/returns/'];
const MOST_HOPS = 20;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);

/** Whether this body can be sent again; a stream was used up by the first attempt. */
const isKept = (body) =>
  body == null ||
  typeof body === 'string' ||
  ArrayBuffer.isView(body) ||
  [ArrayBuffer, URLSearchParams, Blob, FormData].some((kind) => body instanceof kind);

/** The first bytes of a body, which stays whole for the caller. */
async function beginning(response) {
  const pieces = [];
  let length = 0;
  const reader = response.clone().body?.getReader();
  while (reader && length < MOST_BODY) {
    const { done, value } = await reader.read();
    if (done) break;
    length += pieces.push(value) && value.length;
  }
  // Not awaited: that of a clone ends only with its twin's.
  reader?.cancel().catch(() => {});
  return Buffer.concat(pieces).subarray(0, MOST_BODY);
}

/** The headers of this hop, and what they are of; for a stranger those of the caller without our tokens. */
async function dress(tokens, url, headers, payment) {
  const own = await tokens.headers();
  const base = new URL(own.baseUrl);
  const dressed = new Headers(headers);
  if (url.origin !== base.origin) {
    dressed.delete(PAYMENT);
    if (dressed.get(AUTHORIZATION)?.includes(own[AUTHORIZATION].slice(7)))
      dressed.delete(AUTHORIZATION);
    return { dressed };
  }
  const prefix = base.pathname.replace(/\/$/, '');
  const path = url.pathname.startsWith(prefix) ? `${url.pathname.slice(prefix.length)}/` : '';
  const used =
    payment && LABELS.some((label) => path.startsWith(label))
      ? await tokens.headers({ payment })
      : own;
  for (const [name, value] of Object.entries(used)) dressed.set(name, value);
  return { dressed, used };
}

/** The verdict on a 401, left on the response too; undefined where the broker could not be told. */
async function tell(tokens, response, url, used) {
  try {
    const { status, headers } = response;
    response.uspsTokenVerdict = await tokens.report({
      status,
      headers,
      body: await beginning(response),
      path: url.pathname,
      host: url.hostname,
      used,
    });
  } catch (error) {
    if (!(error instanceof BrokerError)) throw error;
    response.uspsTokenError = error;
  }
  return response.uspsTokenVerdict;
}

async function hop(tokens, url, init, payment) {
  const { dressed, used } = await dress(tokens, url, init.headers, payment);
  const send = (headers) => fetch(url, { ...init, headers, redirect: 'manual' });
  const response = await send(dressed);
  if (!used || response.status !== 401) return response;
  const verdict = await tell(tokens, response, url, used);
  if (!verdict?.retry || !isKept(init.body)) return response;
  await response.body?.cancel();
  for (const [name, value] of Object.entries(verdict.headers)) dressed.set(name, value);
  const again = await send(dressed);
  if (again.status === 401) await tell(tokens, again, url, verdict.headers);
  again.uspsTokenVerdict ??= verdict;
  return again;
}

/** The request after a redirect, as fetch itself would make it, without what a stranger may not see. */
function next(response, from, init) {
  const url = new URL(response.headers.get('location'), from);
  const headers = new Headers(init.headers);
  let { method, body } = init;
  if (
    (response.status === 303 && method !== 'HEAD') ||
    (response.status < 303 && method === 'POST')
  ) {
    [method, body] = [method === 'POST' || response.status === 303 ? 'GET' : method, undefined];
    for (const name of [
      'content-type',
      'content-length',
      'content-encoding',
      'content-language',
      'content-location',
    ])
      headers.delete(name);
  }
  if (!/^https?:$/.test(url.protocol) || !isKept(body))
    throw new TypeError('this redirect cannot be followed');
  if (url.origin !== from.origin)
    for (const name of [AUTHORIZATION, PAYMENT, 'Cookie', 'Proxy-Authorization', 'Host'])
      headers.delete(name);
  return [url, { ...init, method, body, headers }];
}

/** As `fetch`. `init.payment` is false, or the name of the payment token for label calls. Throws BrokerError too. */
export async function fetchWith(tokens, input, { payment = 'default', ...init } = {}) {
  const asked = input instanceof Request ? input : undefined;
  let url = new URL(asked?.url ?? input);
  const { redirect = 'follow' } = { redirect: asked?.redirect, ...init };
  let sent = {
    signal: asked?.signal,
    headers: asked?.headers,
    body: asked?.body,
    ...(asked?.body && { duplex: 'half' }),
    ...init,
  };
  sent.method = (init.method ?? asked?.method ?? 'GET').toUpperCase();
  for (let hops = 0; ; hops += 1) {
    const response = await hop(tokens, url, sent, payment);
    if (hops) Object.defineProperty(response, 'redirected', { value: true });
    if (
      redirect === 'manual' ||
      !REDIRECTS.has(response.status) ||
      !response.headers.has('location')
    )
      return response;
    await response.body?.cancel();
    if (redirect === 'error' || hops === MOST_HOPS)
      throw new TypeError(`USPS sent ${hops + 1} redirects, and no more are followed`);
    [url, sent] = next(response, url, sent);
  }
}
