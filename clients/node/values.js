/** What the broker says, as values that show no token when they are printed. Nothing is believed unseen. */
import { uptime } from 'node:os';
import { inspect } from 'node:util';
import { bad } from './errors.js';
import { document, json, problem } from './answers.js';

export const [AUTHORIZATION, PAYMENT] = ['Authorization', 'X-Payment-Authorization-Token'];

/** One token. Only `value` gives it away, and that is no property of its own, so that nothing prints it. */
class Token {
  #value;

  constructor(value, facts) {
    this.#value = value;
    Object.freeze(Object.assign(this, facts));
  }

  get value() {
    return this.#value;
  }

  toString() {
    return `<Token ${this.slot}, serial ${this.serial}, value hidden>`;
  }

  [inspect.custom]() {
    return String(this);
  }
}

/**
 * Headers as properties, and nothing else: fetch takes even those that are not enumerable for headers.
 * What is known of them is in the prototype, which itself has none: so libraries such as axios see a plain object.
 */
function madeHeaders(headers, facts) {
  const shown = () => `<Headers ${Object.keys(headers).join(', ')}; values hidden>`;
  const hidden = { ...facts, toString: shown, toJSON: shown, [inspect.custom]: shown };
  const about = Object.create(null);
  for (const key of Reflect.ownKeys(hidden)) Object.defineProperty(about, key, { value: hidden[key] });
  return Object.freeze(Object.assign(Object.create(Object.freeze(about)), headers));
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
  return new Token(secret(data.token, 'token', /^[!-~]+$/), {
    slot,
    app: field(data, 'app', 'string'),
    serial: whole(data.serial, slot),
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
  const { app: named, base_url: baseUrl, degraded } = data;
  Object.freeze(serials);
  return madeHeaders(headers, {
    serials,
    payment,
    app: named,
    baseUrl,
    degraded: degraded === true,
  });
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
