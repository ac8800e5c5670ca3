/** What the broker says, as values that show no token when they are printed. Nothing is believed unseen. */
import { uptime } from 'node:os';
import { inspect } from 'node:util';
import { bad, words } from './errors.js';
import { document, json, problem } from './wire.js';

export const [AUTHORIZATION, PAYMENT] = ['Authorization', 'X-Payment-Authorization-Token'];
const UNTOLD = new Set(['set-cookie', 'cookie', 'authorization', PAYMENT.toLowerCase()]);
/** Bytes. USPS says what is wrong in the first few hundred; the broker reads no more than this. */
export const MOST_BODY = 4096;
/** Shows an object without what is secret in it, also to console.log. */
const shown = (object, text) =>
  Object.defineProperty(object, inspect.custom, { value: () => text });
export const field = (data, name, kind, otherwise) => {
  const value = data[name] ?? otherwise;
  if (
    typeof value !== kind ||
    (kind === 'number' && value !== otherwise && !(Math.abs(value) < 1e15))
  )
    throw bad(`\`${name}\` is no ${kind}`);
  return value;
};
const secret = (value, name, allowed = /^[ -~]+$/) => {
  if (typeof value === 'string' && allowed.test(value)) return value;
  throw bad(`\`${name}\` may not stand in a request header`);
};
const whole = (value, name) => {
  if (Number.isSafeInteger(value)) return value;
  throw bad(`the serial of \`${name}\` is no whole number`);
};

export function readToken(slot, data, app) {
  if (data.slot !== slot || (app ?? data.app) !== data.app)
    throw bad(`asked for ${slot}, it gave another`);
  const { scopes = null } = data;
  if (scopes !== null && !(Array.isArray(scopes) && scopes.every((one) => typeof one === 'string')))
    throw bad('`scopes` is no list of texts');
  const token = {
    slot,
    app: field(data, 'app', 'string'),
    serial: whole(data.serial, slot),
    expiresAt: field(data, 'expires_at', 'number'),
    scopes,
    degraded: data.degraded === true,
  };
  Object.defineProperty(token, 'value', { value: secret(data.token, 'token', /^[!-~]+$/) });
  return Object.freeze(shown(token, `<Token ${slot}, serial ${token.serial}, value hidden>`));
}

export function readHeaders(payment, data, app) {
  if ((app ?? data.app) !== data.app) throw bad('it is about another app');
  const wanted =
    payment === undefined ? { bearer: AUTHORIZATION } : { bearer: AUTHORIZATION, payment: PAYMENT };
  const [headers, serials] = [{}, {}];
  for (const [kind, name] of Object.entries(wanted)) {
    headers[name] = secret(data.headers?.[name], name);
    serials[kind] = whole(data.serials?.[kind], kind);
  }
  const facts = {
    serials: Object.freeze(serials),
    payment,
    app: data.app,
    baseUrl: data.base_url,
    degraded: data.degraded === true,
  };
  for (const [name, value] of Object.entries(facts))
    Object.defineProperty(headers, name, { value });
  return Object.freeze(
    shown(headers, `<Headers ${Object.keys(headers).join(', ')}; values hidden>`),
  );
}

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

/** The slot of a payment name. Throws TypeError for a name that no slot can have. */
export function paymentSlot(name) {
  if (typeof name !== 'string' || !name || name.includes('/'))
    throw new TypeError('the name of a payment token is not empty and has no /');
  return name === 'default' ? 'payment' : `payment-${name}`;
}

/** A value and, on the clock of ages, how long it may be used. Counted from sending: the broker looked later. */
export function readEntry(answer, sentAt, read, app) {
  const data = document(answer);
  const life = field(data, 'expires_in', 'number');
  const checkAfter = Math.max(0, field(data, 'check_after', 'number', Math.min(60, life / 8)));
  const entry = {
    value: read(data, app),
    etag: answer.headers.get('etag'),
    checkAfter,
    checkAt: sentAt + checkAfter,
    // Then it is asked for whole, since a 304 does not say that it is degraded.
    lateAt: uptime() + field(data, 'use_until', 'number', Infinity) - Date.now() / 1000,
    spentAt: sentAt + life - checkAfter,
    postponed: 0,
  };
  if (uptime() >= entry.spentAt)
    throw bad('the token in it has too little life left to be used', true);
  return entry;
}

/** The names in an answer of /readyz. */
export function readUnready(answer) {
  if (answer.status === 200) return [];
  const data = answer.status === 503 ? json(answer) : {};
  if (answer.status !== 503 || 'code' in data) throw problem(answer);
  const { not_ready: names } = data;
  // A broker does not name what this user may not know of.
  return Array.isArray(names) && names.length ? names.map(String) : ['a token'];
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
