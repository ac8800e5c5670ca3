/** Every error of the client: what happened, why, and what to do. */
import { statSync } from 'node:fs';
import { dirname } from 'node:path';

/** Codes after which asking again is useless until a person acts, and after which it helps at once. */
const PERMANENT = new Set([
  'bad_request',
  'too_large',
  'forbidden',
  'scope_missing',
  'unknown_app',
  'unknown_slot',
  'payment_not_configured',
  'credentials_refused',
  'payment_refused',
  'no_permission',
]);
const PASSING = new Set(['restarting', 'too_many_requests', 'busy', 'cut_answer']);
const START = '`systemctl status usps-token-broker.socket usps-token-broker` tells why';

/** No token, and why. `code` is for programs, `detail` (what) and `fix` (what to do) for people; never holds a token. */
export class BrokerError extends Error {
  constructor(code, detail, fix = '', { passing = PASSING.has(code), ...more } = {}) {
    const named = (more.reason ?? code) === code ? code : `${code}: ${more.reason}`;
    super(`${detail} [${named}]${fix && `; ${fix}`}`);
    const permanent = PERMANENT.has(code);
    Object.assign(this, { name: 'BrokerError', code, detail, fix, permanent, retryAfter: null }, more);
    Object.defineProperty(this, 'passing', { value: passing });
  }
}

export function bad(what, passing = false) {
  const fix = 'see that client and broker are of versions that fit each other';
  return new BrokerError('bad_answer', `the broker's answer makes no sense: ${what}`, fix, { passing });
}

export function notBroker(why) {
  const detail = `what answers on the broker's socket is not a usps-token-broker: ${why}`;
  const fix = 'see who listens there (`ss -xlp`), and what USPS_TOKEN_SOCKET names';
  return new BrokerError('not_a_broker', detail, fix);
}

export function cut() {
  const detail = 'the broker closed the connection before its answer was complete';
  const fix = 'it may just have been restarted; if this goes on, `journalctl -u usps-token-broker`';
  return new BrokerError('cut_answer', detail, fix);
}

export function timedOut(path) {
  const fix = `${START}; give the client a longer \`timeout\` if USPS is only slow`;
  return new BrokerError('timed_out', `the broker at ${path} gave no answer in time`, fix);
}

/** Nothing at any of these paths; passing where the socket's directory is there. */
export function notInstalled(paths) {
  const detail = `no token broker on this host: there is no socket at ${paths.join(' or ')}`;
  const fix = 'install and start usps-token-broker, or name its socket in USPS_TOKEN_SOCKET';
  const passing = paths.some((path) => stats(dirname(path))?.isDirectory());
  return new BrokerError('not_installed', detail, fix, { passing });
}

/** What a failed connect means. */
export function unreachable(path, { code, message }) {
  if (code === 'ECONNREFUSED' && stats(path)?.isSocket() === false) {
    const detail = `${path} is not a socket, so no broker listens there`;
    return new BrokerError('not_running', detail, 'correct USPS_TOKEN_SOCKET');
  }
  if (code === 'ECONNREFUSED') {
    const detail = `the token broker is not running: nobody listens on ${path}`;
    return new BrokerError('not_running', detail, START, { passing: true });
  }
  if (code === 'EAGAIN') {
    const detail = `the broker at ${path} has more callers queued than it can take`;
    return new BrokerError('busy', detail, 'something on this host asks in a loop');
  }
  if (code === 'EACCES' || code === 'EPERM') {
    const who = `uid ${process.geteuid()}, gid ${process.getegid()}`;
    const detail = `the system does not let this process (${who}) open ${path}`;
    const fix = 'let its directory be entered by all; who may have which token, the broker decides';
    return new BrokerError('no_permission', detail, fix);
  }
  if (code === 'EPROTOTYPE') return notBroker('it is a socket of another kind');
  return new BrokerError('unreachable', `cannot connect to the broker at ${path}: ${message}`);
}

function stats(path) {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}

/** A sentence for people, fit for a terminal and of bounded length. */
export const words = (value) =>
  typeof value === 'string' ? value.slice(0, 2000).replace(/[\p{C}\u2028\u2029]/gu, ' ') : '';
