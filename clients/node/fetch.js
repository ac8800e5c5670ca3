/** `fetch` for USPS: the headers go on for the app's own host alone, and no redirect carries them on. */
import { BrokerError } from './errors.js';
import { MOST_BODY } from './reporting.js';
import { AUTHORIZATION, PAYMENT } from './values.js';

/** Where USPS wants the payment token (Labels 3.9.13, Payments 3.1.20). */
const LABELS = ['/labels/', '/international-labels/', '/pmod/', '/returns/'];

/** Whether this body can be sent again; a stream was used up by the first attempt. */
const isKept = (body) =>
  body == null ||
  typeof body === 'string' ||
  ArrayBuffer.isView(body) ||
  [ArrayBuffer, URLSearchParams, Blob, FormData].some((kind) => body instanceof kind);

/** What this gives, unless its caller gives up; the question to the broker goes on for the others. */
function unlessAborted(signal, ask) {
  signal?.throwIfAborted();
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    const settled = () => signal?.removeEventListener('abort', abort);
    signal?.addEventListener('abort', abort);
    ask().then(resolve, reject).finally(settled);
  });
}

/** The first bytes of a body, which stays whole for the caller. */
async function beginning(response) {
  const pieces = [];
  let length = 0;
  const reader = response.clone().body?.getReader();
  while (reader && length < MOST_BODY) {
    // What breaks off in the middle tells enough; the caller meets the error in its own copy.
    const { value } = await reader.read().catch(() => ({}));
    if (!value) break;
    pieces.push(value);
    length += value.length;
  }
  // Not awaited: that of a clone ends only with its twin's.
  reader?.cancel().catch(() => {});
  return Buffer.concat(pieces).subarray(0, MOST_BODY);
}

function isLabelCall(url, { baseUrl }) {
  const prefix = new URL(baseUrl).pathname.replace(/\/$/, '');
  return LABELS.some((label) => `${url.pathname}/`.startsWith(prefix + label));
}

/** As `fetch`. `init.payment` is false, or the name of the payment token for label calls. Throws BrokerError too. */
export async function fetchWith(tokens, input, { payment = 'default', ...init } = {}) {
  const asked = input instanceof Request ? input : {};
  const url = new URL(asked.url ?? input);
  const { body = asked.body, redirect = asked.redirect, signal = asked.signal } = init;
  const headers = new Headers(init.headers ?? asked.headers);
  const own = await unlessAborted(signal, () => tokens.headers());
  if (url.origin !== new URL(own.baseUrl).origin) {
    headers.delete(PAYMENT);
    if (headers.get(AUTHORIZATION)?.includes(own[AUTHORIZATION].slice(7)))
      headers.delete(AUTHORIZATION);
    return fetch(input, { ...init, headers });
  }
  const send = async (used) => {
    for (const [name, value] of Object.entries(used)) headers.set(name, value);
    const response = await fetch(input, {
      ...init,
      headers,
      redirect: redirect === 'error' ? redirect : 'manual',
    });
    if (response.status === 401) await unlessAborted(signal, () => tell(tokens, response, url, used));
    return response;
  };
  const wantsPayment = payment && isLabelCall(url, own);
  const used = wantsPayment ? await unlessAborted(signal, () => tokens.headers({ payment })) : own;
  const response = await send(used);
  const { uspsTokenVerdict: verdict } = response;
  if (!verdict?.retry || !isKept(body)) return response;
  await response.body?.cancel();
  const again = await send(verdict.headers);
  again.uspsTokenVerdict ??= verdict;
  return again;
}

/** Leave the verdict on a 401 on the response, or why the broker could not be told; its words too. */
async function tell(tokens, response, url, used) {
  const { status, headers } = response;
  const { pathname: path, hostname: host } = url;
  const body = await beginning(response);
  try {
    const verdict = await tokens.report({ status, headers, body, path, host, used });
    response.uspsTokenVerdict = verdict;
    word(response, new BrokerError(verdict.code, verdict.detail, verdict.fix, { reason: verdict.reason }));
  } catch (error) {
    if (!(error instanceof BrokerError)) throw error;
    response.uspsTokenError = error;
    word(response, error);
  }
}

/** What a program shows of a response that it does not like. */
function word(response, { message }) {
  Object.defineProperty(response, 'statusText', { value: `Unauthorized: ${message}`, configurable: true });
}
