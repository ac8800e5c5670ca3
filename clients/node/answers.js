/** What an answer of the broker says: a JSON object, or why there is none (section 7). */
import { BrokerError, bad, words } from './errors.js';

/** The JSON object of an answer. */
export function json({ body }) {
  let data;
  try {
    data = JSON.parse(body.toString());
  } catch {
    throw bad('it is not JSON');
  }
  if (typeof data !== 'object' || data === null || Array.isArray(data))
    throw bad('it is not a JSON object');
  return data;
}

/** The error that an answer without a token is. */
export function problem(answer) {
  let data = {};
  try {
    data = json(answer);
  } catch {
    /* told below */
  }
  const { code, retry_after: after } = data;
  if (typeof code !== 'string' || !/^[!-~]{1,64}$/.test(code))
    return bad(`HTTP ${answer.status} without a \`code\``);
  if (code === 'not_found' || code === 'method_not_allowed')
    return bad(`${code}, so this broker is older than this client`);
  const header = answer.headers['retry-after'];
  const retryAfter = typeof after === 'number' ? after : /^\d{1,9}$/.test(header) ? +header : null;
  const detail = words(data.detail) || `the broker answered ${code}`;
  return new BrokerError(code, detail, words(data.fix), {
    retryAfter: retryAfter && Math.max(0, retryAfter),
    status: answer.status,
    reason: words(data.reason) || code,
    nextAttemptAt: data.next_attempt_at ?? null,
  });
}

/** The same of an answer that must be a 200. */
export const document = (answer) => {
  if (answer.status === 200) return json(answer);
  throw problem(answer);
};
