/** USPS tokens from usps-token-broker, over its Unix socket, as ../PROTOCOL.md says. */
import { uptime } from 'node:os';
import { fetchWith } from './fetch.js';
import { staticBroker } from './static.js';
import { paymentSlot, readEntry, readHeaders, readToken, readUnready } from './values.js';
import { made, readVerdict, report } from './reporting.js';
import { ask, broker } from './asking.js';
import { untilReady, waitWithin } from './waiting.js';
import { BrokerError } from './errors.js';

export { BrokerError };
/** Seconds: how long a caller waits for a broker while a good token is at hand. */
const RECHECK = 2;

/** The tokens of one app. Many callers that want the same thing at once are one question (section 4). */
export class TokenClient {
  #app;
  #timeout;
  #answers;
  #held = new Map();
  #owner;

  constructor({ socket, app, timeout = 12 } = {}) {
    if (socket !== undefined && !/^[^\0]+$/.test(socket))
      throw new TypeError('`socket` is the path of a Unix socket');
    if (!(typeof timeout === 'number' && timeout > 0 && timeout < 1e6))
      throw new TypeError('`timeout` is a number of seconds above 0');
    [this.#app, this.#timeout] = [app, timeout];
    const given = socket === undefined && process.env.USPS_TOKEN_STATIC?.trim();
    this.#answers = given ? staticBroker(given) : broker(socket);
  }

  /** The bearer token. Throws BrokerError, as all of these do. */
  async bearer() {
    return this.#token('bearer');
  }

  /** The payment token of this name. */
  async payment(name = 'default') {
    return this.#token(paymentSlot(name));
  }

  /** Request headers for USPS, all of one moment; `payment` is true or a name where a label is made. */
  async headers({ payment = false } = {}) {
    const name = payment === true ? 'default' : payment || undefined;
    if (name !== undefined) paymentSlot(name);
    return this.#obtain(`headers ${name ?? ''}`, '/v1/headers', { payment: name }, (data) =>
      readHeaders(name, data, this.#app),
    );
  }

  async #token(slot) {
    return this.#obtain(slot, `/v1/tokens/${encodeURIComponent(slot)}`, {}, (data) =>
      readToken(slot, data, this.#app),
    );
  }

  /** Tell what USPS answered to a call made with `used`; the broker's verdict (section 5). */
  async report({ status, headers, body, path, host, used }) {
    const told = report({ status, headers, body, path, host, ...made(used) });
    const verdict = readVerdict(
      await this.#ask('/v1/answers', { wait: waitWithin(this.#timeout) }, { body: told }),
      told.payment,
    );
    if (verdict.retry) this.#forget(told, verdict);
    return verdict;
  }

  /** How everything stands, for people. */
  async status() {
    return this.#ask('/v1/status', {});
  }

  /** Names of what is not ready, as APP/SLOT, of these slots or of all that is required. */
  async unready({
    slots = this.#app === undefined ? [undefined] : ['bearer'],
    minValid,
    timeout,
  } = {}) {
    for (const slot of slots) {
      const names = await this.#ask(
        '/readyz',
        { slot, min_valid: minValid },
        { read: readUnready, timeout, app: slot === undefined ? null : this.#app },
      );
      if (names.length) return names;
    }
    return [];
  }

  /** Wait until all is ready: what a person must mend is thrown at once, the last reason in the end. */
  waitReady(options) {
    const why = (app, slot, wait) =>
      this.#ask(`/v1/tokens/${encodeURIComponent(slot)}`, { wait }, { app, timeout: wait + 1 });
    return untilReady((asked) => this.unready(asked), why, options);
  }

  /** `fetch` with the headers on for the app's own host alone, a 401 told, and one more try where that helps. */
  fetch(input, init) {
    return fetchWith(this, input, init);
  }

  async #obtain(key, path, query, read) {
    // What was fetched as another user is not ours any more.
    const owner = `${process.pid} ${process.geteuid()} ${process.getegid()}`;
    if (owner !== this.#owner) [this.#owner, this.#held] = [owner, new Map()];
    const held = this.#held;
    if (!held.has(key)) held.set(key, {});
    const holding = held.get(key);
    const { entry } = holding;
    const now = uptime();
    if (entry && now < entry.spentAt && (now < entry.checkAt || holding.flight)) return entry.value;
    holding.flight ??= this.#lead(holding, path, query, read).finally(() => {
      holding.flight = undefined;
    });
    return holding.flight;
  }

  /** Ask for it; or, while a good one is at hand, whether it still is the one: then only a refusal takes it away. */
  async #lead(holding, path, query, read) {
    const { entry } = holding;
    const good = entry && uptime() < entry.spentAt;
    const how = good
      ? { etag: uptime() < entry.lateAt ? entry.etag : undefined, timeout: RECHECK, patient: false }
      : {};
    const wait = good ? 0 : waitWithin(this.#timeout);
    const take = (answer, sentAt) =>
      good && answer.status === 304
        ? { ...entry, checkAt: sentAt + entry.checkAfter, postponed: 0 }
        : readEntry(answer, sentAt, read);
    try {
      holding.entry = await this.#ask(path, { ...query, wait }, { ...how, read: take });
    } catch (error) {
      const refused = error.status >= 400 && error.status < 500 && error.status !== 429;
      if (!good || refused || !(error instanceof BrokerError)) {
        holding.entry = undefined;
        throw error;
      }
      const most = Math.max(entry.checkAfter, RECHECK);
      const postponed = Math.min(2 * entry.postponed || RECHECK, most);
      holding.entry = { ...entry, checkAt: uptime() + postponed, postponed };
    }
    const isSpent = uptime() >= holding.entry.spentAt;
    return isSpent ? this.#lead(holding, path, query, read) : holding.entry.value;
  }

  /** Ask, about our app, and within our timeout. */
  #ask(path, query, { app = this.#app, timeout = this.#timeout, etag, body, ...how } = {}) {
    const question = { path, query: { app, ...query }, etag, body };
    return ask(this.#answers, question, { ...how, timeout: Math.min(timeout, this.#timeout) });
  }

  /** Forget what holds a refused token that was replaced since. */
  #forget({ serials, payment }, verdict) {
    for (const { entry } of [...this.#held.values()]) {
      if (!entry) continue;
      const kept = made(entry.value);
      const same = (kept.payment ?? 'default') === (payment ?? 'default');
      const dead = (kind) =>
        kept.serials[kind] === serials[kind] &&
        (verdict.serials[kind] ?? serials[kind]) !== serials[kind];
      if (Object.keys(serials).some((kind) => (kind !== 'payment' || same) && dead(kind)))
        entry.spentAt = -Infinity;
    }
  }
}
