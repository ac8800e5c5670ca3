/** Asking a broker until it answers: where its socket is, the pauses, the one deadline (sections 1 and 7). */
import { uptime } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { BrokerError } from './errors.js';
import { document, exchange } from './wire.js';

const VERSION = '0.2.0';
const SYSTEM_SOCKET = '/run/usps-token-broker/broker.sock';
/** Seconds. A socket may be away for one before there is no broker: a restart takes a fifth of that. */
const [FIRST_PAUSE, LONGEST_PAUSE, ABSENCE] = [0.01, 0.5, 1];

/** Seconds on a clock that does not jump. */
export const seconds = () => performance.now() / 1000;

/** Where to look. A path that somebody named is the only one. */
function places(named) {
  const only = named ?? process.env.USPS_TOKEN_SOCKET;
  const own = process.env.XDG_RUNTIME_DIR;
  if (only) return [only];
  return [SYSTEM_SOCKET, ...(own ? [`${own}/usps-token-broker/broker.sock`] : [])];
}

function request(path, query, etag, body) {
  const pairs = Object.entries(query).filter(([, value]) => value !== undefined && value !== null);
  const target = [
    path,
    pairs.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join('&'),
  ]
    .filter(Boolean)
    .join('?');
  const content = body === undefined ? '' : JSON.stringify(body);
  const lines = [
    `${content ? 'POST' : 'GET'} ${target} HTTP/1.1`,
    'Host: usps-token-broker',
    `User-Agent: usps-token-client-node/${VERSION}`,
    'Accept: application/json',
    'Connection: close',
  ];
  if (etag) lines.push(`If-None-Match: ${etag}`);
  if (content)
    lines.push('Content-Type: application/json', `Content-Length: ${Buffer.byteLength(content)}`);
  return `${lines.join('\r\n')}\r\n\r\n${content}`;
}

/**
 * What `read` makes of the answer; it is told when, by the clock of ages, the question was sent.
 * A patient caller asks again after passing trouble. Throws BrokerError.
 */
export async function ask(
  socket,
  path,
  query,
  { read = document, body, etag, timeout, patient = true },
) {
  const message = request(path, query, etag, body);
  const deadline = seconds() + timeout;
  const absent = Math.min(deadline, seconds() + ABSENCE);
  let heard;
  for (let span = FIRST_PAUSE; ; span = Math.min(2 * span, LONGEST_PAUSE)) {
    const sentAt = uptime();
    try {
      return read(await exchange(places(socket), message, deadline - seconds()), sentAt);
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error;
      if (heard && error.code === 'timed_out') throw heard;
      heard = error;
      const wait = Math.max(span, error.retryAfter ?? 0);
      const limit = error.code === 'not_installed' ? absent : deadline;
      if (!patient || !error.passing || seconds() + wait >= limit) throw error;
      await pause(wait * 1000);
    }
  }
}
