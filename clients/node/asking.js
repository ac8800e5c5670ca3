/** Asking a broker until it answers: where its socket is, the pauses, the one deadline (sections 1 and 7). */
import { uptime } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { document } from './answers.js';
import { BrokerError } from './errors.js';
import { exchange } from './wire.js';

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

/** What takes a question to the broker, and gives its answer. */
export const broker = (socket) => (question, timeout) => exchange(places(socket), question, timeout);

/**
 * What `read` makes of the answer; it is told when, by the clock of ages, the question was sent.
 * A patient caller asks again after passing trouble. Throws BrokerError.
 */
export async function ask(answers, question, { read = document, timeout, patient = true }) {
  const deadline = seconds() + timeout;
  const absent = Math.min(deadline, seconds() + ABSENCE);
  let heard;
  for (let span = FIRST_PAUSE; ; span = Math.min(2 * span, LONGEST_PAUSE)) {
    const sentAt = uptime();
    try {
      return read(await answers(question, deadline - seconds()), sentAt);
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
