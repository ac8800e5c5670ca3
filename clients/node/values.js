/** What the broker says, as values that show no token when they are printed. Nothing is believed unseen. */
import { uptime } from 'node:os';
import { inspect } from 'node:util';
import { bad } from './errors.js';
import { document, json, problem } from './answers.js';

export const [AUTHORIZATION, PAYMENT] = ['Authorization', 'X-Payment-Authorization-Token'];

/**
 * An object of which printing, a spread and `fetch`, which takes even what is not enumerable, see `own` alone. The
 * `hidden` are in its prototype, which itself has none: so libraries such as axios take headers for a plain object.
 */
function hiding(hidden, shown, own) {
  const about = Object.create(null);
  const all = { ...hidden, toString: shown, [inspect.custom]: shown };
  for (const key of Reflect.ownKeys(all)) Object.defineProperty(about, key, { get: () => all[key] });
  return Object.freeze(Object.assign(Object.create(Object.freeze(about)), own));
}

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
  const serial = whole(data.serial, slot);
  const value = secret(data.token, 'token', /^[!-~]+$/);
  return hiding({ value }, () => `<Token ${slot}, serial ${serial}, value hidden>`, {
    slot,
    app: field(data, 'app', 'string'),
    serial,
    expiresAt: field(data, 'expires_at', 'number'),
    scopes,
    degraded: data.degraded === true,
  });
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
  const shown = () => `<Headers ${Object.keys(headers).join(', ')}; values hidden>`;
  return hiding({ ...facts, toJSON: shown }, shown, headers);
}

/** The slot of a payment name. Throws TypeError for a name that no slot can have. */
export function paymentSlot(name) {
  if (typeof name !== 'string' || !name || name.includes('/'))
    throw new TypeError('the name of a payment token is not empty and has no /');
  return name === 'default' ? 'payment' : `payment-${name}`;
}

/** A value and, on the clock of ages, how long it may be used. Counted from sending: the broker looked later. */
export function readEntry(answer, sentAt, read) {
  const data = document(answer);
  const life = field(data, 'expires_in', 'number');
  const checkAfter = Math.max(0, field(data, 'check_after', 'number', Math.min(60, life / 8)));
  const entry = {
    value: read(data),
    etag: answer.headers.etag,
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
