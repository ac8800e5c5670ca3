/** What USPS told a worker, put to the broker, and its verdict (section 5). */
import { words } from './errors.js';
import { PAYMENT, field, readHeaders } from './values.js';

const UNTOLD = new Set(['set-cookie', 'cookie', 'authorization', PAYMENT.toLowerCase()]);
/** Bytes. USPS says what is wrong in the first few hundred; the broker reads no more than this. */
export const MOST_BODY = 4096;

/** Serials by kind, and the name of the payment token, of what a call was made with. */
export function made(used) {
  const tokens = [used].flat();
  if (used?.serials) return { serials: used.serials, payment: used.payment };
  if (!tokens.every((one) => one?.slot)) return { serials: { ...used } };
  const [kinds, pay] = [
    tokens.map((one) => [one.slot === 'bearer' ? 'bearer' : 'payment', one.serial]),
    tokens.find((one) => one.slot !== 'bearer'),
  ];
  return { serials: Object.fromEntries(kinds), payment: pay && (pay.slot.slice(8) || 'default') };
}

/** A report as the broker reads it, without cookies, tokens and the query. */
export function report({ status, headers, body = '', path = '/', host, serials, payment }) {
  const values = Object.values(serials);
  if (!values.length || !values.every(Number.isSafeInteger))
    throw new TypeError(
      '`used` names what the call was made with: headers(), tokens, or {bearer: SERIAL}',
    );
  const pairs = headers?.entries
    ? [...headers.entries()]
    : Array.isArray(headers)
      ? headers
      : Object.entries(headers ?? {});
  const told = pairs
    .map(([name, value]) => [plain(name, 64), plain(value, 256)])
    .filter(([name]) => !UNTOLD.has(name.toLowerCase()));
  const text =
    typeof body === 'string' ? body : Buffer.from(body).subarray(0, MOST_BODY).toString();
  return {
    status,
    headers: Object.fromEntries(told.slice(0, 24)),
    body: plain(text, MOST_BODY),
    path: plain(path.split('?')[0], 512),
    host,
    serials,
    payment,
  };
}

/** The broker's verdict on a report. */
export function readVerdict(data, payment) {
  const headers = data.headers && data.serials ? readHeaders(payment, data) : undefined;
  const [code, detail, fix, outcome] = ['code', 'detail', 'fix', 'outcome'].map((name) =>
    field(data, name, 'string'),
  );
  const retryAfter = typeof data.retry_after === 'number' ? data.retry_after : null;
  return {
    code,
    detail: words(detail),
    fix: words(fix),
    outcome,
    reason: words(data.reason) || code,
    retry: data.retry === true && headers !== undefined,
    retryAfter,
    headers,
    serials: headers?.serials ?? {},
  };
}

/** Text of bounded length, with nothing in it that a terminal or a parser would act upon. */
const plain = (text, most) =>
  String(text)
    .slice(0, most)
    .replace(/[^\P{C}\r\n\t]/gu, '?');
