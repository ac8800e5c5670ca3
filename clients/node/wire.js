/** One question to the broker, one answer: HTTP/1.1 on its Unix socket, and every way it can fail. */
import { connect } from 'node:net';
import {
  BrokerError,
  PASSING,
  PERMANENT,
  bad,
  cut,
  notBroker,
  notInstalled,
  timedOut,
  unreachable,
  words,
} from './errors.js';

const MOST_ANSWER = 1 << 20;
/** The answer to this message of the first of these sockets that exists. Throws BrokerError. */
export async function exchange(paths, message, timeout) {
  for (const path of paths) {
    try {
      return await talk(path, message, timeout);
    } catch (error) {
      if (error instanceof BrokerError) throw error;
      if (!['ENOENT', 'ENOTDIR'].includes(error.code)) throw unreachable(path, error);
    }
  }
  throw notInstalled(paths);
}

function talk(path, message, timeout) {
  return new Promise((resolve, reject) => {
    if (!path || path.includes('\0') || Buffer.byteLength(path) > 107)
      throw new Error('a path has 1 to 107 bytes, and no NUL');
    const socket = connect({ path });
    let data = Buffer.alloc(0);
    const end = (settle, value) => (clearTimeout(timer), socket.destroy(), settle(value));
    const timer = setTimeout(() => end(reject, timedOut(path)), Math.max(0, timeout * 1000));
    const look = (over) => {
      try {
        const answer = readAnswer(data, over);
        if (answer) end(resolve, answer);
      } catch (error) {
        end(reject, error);
      }
    };
    // Whom the broker refuses it tells so before it was asked, and hangs up: look before writing, which would fail.
    socket.on('connect', () =>
      setImmediate(() => data.length || socket.destroyed || socket.write(message)),
    );
    socket.on('data', (piece) => look(void (data = Buffer.concat([data, piece]))));
    socket.on('end', () => look(true));
    socket.on('error', (error) => (error.syscall === 'connect' ? end(reject, error) : look(true)));
  });
}

/** The answer in these bytes, undefined while it is not whole (RFC 9112). */
function readAnswer(data, over) {
  if (data.length > MOST_ANSWER) throw notBroker('its answer is longer than a megabyte');
  const text = data.toString('latin1');
  if (!'HTTP/1.'.startsWith(text.slice(0, 7))) throw notBroker('it does not speak HTTP');
  const head = /^[^]*?(\r?\n\r?\n)/.exec(text)?.[0];
  if (head === undefined) {
    if (over) throw cut();
    return undefined;
  }
  const [first, ...lines] = head.trimEnd().split(/\r?\n/);
  const status = Number(/^HTTP\/1\.[01] (\d{3})( |$)/.exec(first)?.[1]);
  const headers = new Map();
  for (const line of lines) {
    const [, name, value] = /^([^:]+):\s*(.*?)\s*$/.exec(line.toLowerCase()) ?? [];
    if (!name || (name === 'content-length' && (headers.get(name) ?? value) !== value))
      throw notBroker('its header lines are not HTTP');
    headers.set(name, value);
  }
  const length = status === 304 || status === 204 ? '0' : headers.get('content-length');
  if (
    !status ||
    headers.has('transfer-encoding') ||
    (length !== undefined && !/^\d{1,7}$/.test(length))
  )
    throw notBroker('its head is none that a broker sends');
  const body = data.subarray(head.length);
  if (length === undefined ? over : body.length >= Number(length))
    return { status, headers, body: body.subarray(0, length && Number(length)) };
  if (over) throw cut();
  return undefined;
}

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
  const header = answer.headers.get('retry-after') ?? '';
  const retryAfter =
    typeof after === 'number'
      ? Math.max(0, after)
      : /^\d{1,9}$/.test(header)
        ? Number(header)
        : null;
  return new BrokerError(code, words(data.detail) || `the broker answered ${code}`, {
    fix: words(data.fix),
    retryAfter,
    permanent: PERMANENT.has(code),
    passing: PASSING.has(code),
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
