/** USPS_TOKEN_STATIC: tokens for developers' machines and tests, when there is no broker (section 8). */
import { AUTHORIZATION, PAYMENT, paymentSlot, readHeaders, readToken } from './values.js';
import { BrokerError } from './errors.js';

const APP = 'static';
const FIX =
  'USPS_TOKEN_STATIC is a bearer token, or JSON: {"bearer": "…", "payment": "…" or {"NAME": "…"}, "base_url": "https://…"}';

/** Tokens of this text, by slot. Throws TypeError, which does not quote it. */
export function readStatic(text) {
  let given = { bearer: text.trim() };
  try {
    if (given.bearer.startsWith('{')) given = JSON.parse(given.bearer);
    const payments =
      typeof given.payment === 'object' ? (given.payment ?? {}) : { default: given.payment };
    const values = { bearer: given.bearer };
    for (const [name, value] of Object.entries(payments))
      if (value !== undefined) values[paymentSlot(name)] = value;
    const tokens = Object.fromEntries(
      Object.entries(values).map(([slot, token]) => [
        slot,
        readToken(slot, { slot, app: APP, token, serial: 1, expires_at: 1e14 }),
      ]),
    );
    return new StaticTokens(
      tokens,
      new URL(given.base_url ?? 'https://apis.usps.com').href.replace(/\/$/, ''),
    );
  } catch {
    throw new TypeError(FIX);
  }
}

class StaticTokens {
  #tokens;
  #baseUrl;

  constructor(tokens, baseUrl) {
    [this.#tokens, this.#baseUrl] = [tokens, baseUrl];
  }

  token(slot) {
    const found = Object.hasOwn(this.#tokens, slot) ? this.#tokens[slot] : undefined;
    if (!found)
      throw new BrokerError('payment_not_configured', `there is no static token for ${slot}`, {
        permanent: true,
        fix: FIX,
      });
    return found;
  }

  headers(name) {
    const headers = { [AUTHORIZATION]: `Bearer ${this.token('bearer').value}` };
    if (name !== undefined) headers[PAYMENT] = this.token(paymentSlot(name)).value;
    return readHeaders(name, {
      headers,
      serials: { bearer: 1, payment: 1 },
      app: APP,
      base_url: this.#baseUrl,
    });
  }

  verdict(status) {
    return {
      code: APP,
      reason: APP,
      detail: `USPS answered ${status}, and a static token is not renewed`,
      fix: 'put a new token into USPS_TOKEN_STATIC, or run a broker',
      outcome: 'failed',
      retry: false,
      retryAfter: null,
      serials: {},
    };
  }

  status() {
    return { static: true, slots: Object.keys(this.#tokens) };
  }

  unready(slots) {
    for (const slot of slots) if (slot !== undefined) this.token(slot);
    return [];
  }
}
