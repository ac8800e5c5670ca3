/** Every error of the client: what happened, why, and what to do. */
import { statSync } from 'node:fs';
import { dirname } from 'node:path';

/** Codes after which asking again is useless until a person acts, and after which it helps at once. */
export const PERMANENT = new Set([
  'bad_request',
  'too_large',
  'forbidden',
  'scope_missing',
  'unknown_app',
  'unknown_slot',
  'payment_not_configured',
  'credentials_refused',
  'payment_refused',
]);
export const PASSING = new Set(['restarting', 'too_many_requests']);
const START = '`systemctl status usps-token-broker.socket usps-token-broker` tells why';

/** No token, and why. `code` is for programs, `detail` (what) and `fix` (what to do) for people; never holds a token. */
export class BrokerError extends Error {
  constructor(
    code,
    detail,
    { fix = '', retryAfter = null, permanent = false, passing = false, ...more } = {},
  ) {
    super(`${detail} [${code}]${fix && `; ${fix}`}`);
    Object.assign(this, { name: 'BrokerError', code, detail, fix, retryAfter, permanent, ...more });
    Object.defineProperty(this, 'passing', { value: passing });
  }
}
export const bad = (what, passing = false) =>
  new BrokerError('bad_answer', `the broker's answer makes no sense: ${what}`, {
    passing,
    fix: 'see that client and broker are of versions that fit each other',
  });
export const notBroker = (why) =>
  new BrokerError(
    'not_a_broker',
    `what answers on the broker's socket is not a usps-token-broker: ${why}`,
    { fix: 'see who listens there (`ss -xlp`), and what USPS_TOKEN_SOCKET names' },
  );
export const cut = () =>
  new BrokerError('cut_answer', 'the broker closed the connection before its answer was complete', {
    passing: true,
    fix: 'it may just have been restarted; if this goes on, `journalctl -u usps-token-broker`',
  });
export const timedOut = (path) =>
  new BrokerError('timed_out', `the broker at ${path} gave no answer in time`, {
    fix: `${START}; give the client a longer \`timeout\` if USPS is only slow`,
  });
export const words = (value) =>
  typeof value === 'string' ? value.slice(0, 2000).replace(/[\p{C}\u2028\u2029]/gu, ' ') : '';

function stats(path) {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}

/** What a failed connect means. */
export function unreachable(path, { code, message }) {
  if (code === 'ECONNREFUSED' && stats(path)?.isSocket() === false)
    return new BrokerError('not_running', `${path} is not a socket, so no broker listens there`, {
      fix: 'correct USPS_TOKEN_SOCKET',
    });
  if (code === 'ECONNREFUSED')
    return new BrokerError(
      'not_running',
      `the token broker is not running: nobody listens on ${path}`,
      { passing: true, fix: START },
    );
  if (code === 'EAGAIN')
    return new BrokerError(
      'busy',
      `the broker at ${path} has more callers queued than it can take`,
      { passing: true, fix: 'something on this host asks in a loop' },
    );
  if (code === 'EACCES' || code === 'EPERM')
    return new BrokerError(
      'no_permission',
      `the system does not let this process (uid ${process.geteuid()}, gid ${process.getegid()}) open ${path}`,
      {
        permanent: true,
        fix: 'let its directory be entered by all; who may have which token, the broker decides',
      },
    );
  return code === 'EPROTOTYPE'
    ? notBroker('it is a socket of another kind')
    : new BrokerError('unreachable', `cannot connect to the broker at ${path}: ${message}`);
}

/** Nothing at any of these paths; passing where the socket's directory is there. */
export function notInstalled(paths) {
  return new BrokerError(
    'not_installed',
    `no token broker on this host: there is no socket at ${paths.join(' or ')}`,
    {
      passing: paths.some((path) => stats(dirname(path))?.isDirectory()),
      fix: 'install and start usps-token-broker, or name its socket in USPS_TOKEN_SOCKET',
    },
  );
}
