/** USPS_TOKEN_STATIC: tokens for developers' machines and tests, when there is no broker (section 8). */
import { AUTHORIZATION, PAYMENT, paymentSlot, readToken } from './values.js';

const APP = 'static';
const FIX =
  'USPS_TOKEN_STATIC is a bearer token, or JSON: {"bearer": "…", "payment": "…" or {"NAME": "…"}, "base_url": "https://…"}';
/** Seconds of life left: nobody knows, and nobody renews. */
const LIFE = 1e9;

/** Tokens by slot, and where they are for. Throws TypeError, which does not quote the text. */
function parse(text) {
  try {
    const given = text.startsWith('{') ? JSON.parse(text) : { bearer: text };
    const { payment, base_url: baseUrl = 'https://apis.usps.com' } = given;
    const payments = typeof payment === 'object' ? (payment ?? {}) : { default: payment };
    const tokens = new Map([['bearer', given.bearer]]);
    for (const [name, token] of Object.entries(payments))
      if (token !== undefined) tokens.set(paymentSlot(name), token);
    for (const [slot, token] of tokens)
      readToken(slot, { slot, app: APP, token, serial: 1, expires_at: LIFE });
    return [tokens, new URL(baseUrl).href.replace(/\/$/, '')];
  } catch {
    throw new TypeError(FIX);
  }
}

/** Answers as a broker that has these tokens. Throws TypeError. */
export function staticBroker(text) {
  const [tokens, baseUrl] = parse(text);
  const known = { app: APP, expires_in: LIFE, expires_at: Date.now() / 1000 + LIFE };
  const documents = {
    '/v1/headers': (payment) => ({
      ...known,
      headers: { [AUTHORIZATION]: `Bearer ${tokens.get('bearer')}`, [PAYMENT]: tokens.get(payment) },
      serials: { bearer: 1, payment: 1 },
      base_url: baseUrl,
    }),
    '/v1/answers': (_, { status }) => ({
      code: APP,
      detail: `USPS answered ${status}, and a static token is not renewed`,
      fix: 'put a new token into USPS_TOKEN_STATIC, or run a broker',
      outcome: 'failed',
    }),
    '/v1/status': () => ({ static: true, slots: [...tokens.keys()] }),
    '/readyz': () => ({}),
  };
  const answer = (status, data) => ({ status, headers: {}, body: JSON.stringify(data) });
  return async ({ path, query, body }) => {
    const slot = query.slot ?? (query.payment ? paymentSlot(query.payment) : 'bearer');
    const asked = path in documents ? slot : decodeURIComponent(path.split('/').at(-1));
    if (!tokens.has(asked))
      return answer(404, {
        code: 'payment_not_configured',
        detail: `there is no static token for ${asked}`,
        fix: FIX,
      });
    const token = () => ({ ...known, slot: asked, token: tokens.get(asked), serial: 1 });
    return answer(200, (documents[path] ?? token)(asked, body));
  };
}
