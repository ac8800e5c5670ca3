/** One question to the broker, one answer: HTTP/1.1 on its Unix socket, and every way it can fail. */
import { once } from 'node:events';
import { request } from 'node:http';
import { BrokerError, cut, notBroker, notInstalled, timedOut, unreachable } from './errors.js';

const VERSION = '0.2.0';
const MOST_ANSWER = 1 << 20;
/** Bytes that the address of a Unix socket can hold (unix(7)). */
const LONGEST_PATH = 107;

/** The answer to this question of the first of these sockets that exists. Throws BrokerError. */
export async function exchange(paths, { path, query, etag, body }, timeout) {
  const pairs = Object.entries(query).filter(([, value]) => value !== undefined && value !== null);
  const keys = pairs.map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
  const options = {
    path: keys.length ? `${path}?${keys.join('&')}` : path,
    method: body ? 'POST' : 'GET',
    headers: {
      'User-Agent': `usps-token-client-node/${VERSION}`,
      Accept: 'application/json',
      ...(etag && { 'If-None-Match': etag }),
      ...(body && { 'Content-Type': 'application/json' }),
    },
    agent: false,
  };
  for (const socketPath of paths) {
    try {
      return await talk({ ...options, socketPath }, body && JSON.stringify(body), timeout);
    } catch (error) {
      if (error instanceof BrokerError) throw error;
      if (!['ENOENT', 'ENOTDIR'].includes(error.code)) throw unreachable(socketPath, error);
    }
  }
  throw notInstalled(paths);
}

async function talk(options, content, timeout) {
  const path = options.socketPath;
  if (!path || path.includes('\0') || Buffer.byteLength(path) > LONGEST_PATH)
    throw new Error(`a path has 1 to ${LONGEST_PATH} bytes, and no NUL`);
  const signal = AbortSignal.timeout(Math.max(0, Math.ceil(timeout * 1000)));
  const asking = request({ ...options, signal });
  // Whom the broker refuses it tells so before it was asked, and hangs up: look before writing, which would fail.
  asking.on('socket', (socket) =>
    socket.on('connect', () => setImmediate(() => asking.res || asking.end(content))),
  );
  // The first error is what counts; one after it must not end the process.
  asking.on('error', () => {});
  try {
    const [answer] = await once(asking, 'response');
    if (answer.headers['transfer-encoding']) throw notBroker('it answers in chunks');
    const pieces = [];
    let length = 0;
    for await (const piece of answer) {
      length += piece.length;
      if (length > MOST_ANSWER) throw notBroker('its answer is longer than a megabyte');
      pieces.push(piece);
    }
    return { status: answer.statusCode, headers: answer.headers, body: Buffer.concat(pieces) };
  } catch (error) {
    if (signal.aborted) throw timedOut(path);
    if (error instanceof BrokerError || error.syscall === 'connect') throw error;
    if (/^HPE_(?!INVALID_EOF)/.test(error.code)) throw notBroker('it does not speak HTTP');
    throw cut();
  } finally {
    asking.destroy();
  }
}
