/** Waiting until the tokens are there. */
import { setTimeout as pause } from 'node:timers/promises';
import { seconds } from './asking.js';
import { BrokerError } from './errors.js';

/** Seconds between two questions: from the first to the longest. */
const [FIRST_PAUSE, LONGEST_PAUSE] = [1 / 16, 0.5];
/** Of how many tokens the reason is asked at a time: a host may have hundreds. */
const MOST_CAUSES = 8;

/** Seconds the broker may wait for USPS, so that its answer still comes in so many. */
export const waitWithin = (left) => Math.max(0, Math.min(10, Math.round(left * 9) / 10));

/** `unready` gives the names of what is missing, `why` throws the reason for one. Throws BrokerError. */
export async function untilReady(unready, why, { slots, minValid, timeout = 60 } = {}) {
  const deadline = seconds() + timeout;
  let [reason, span] = ['', FIRST_PAUSE];
  for (;;) {
    try {
      const names = await unready({ slots, minValid, timeout: deadline - seconds() });
      if (!names.length) return;
      reason = (await cause(names, why, deadline)) ?? `no good token for ${names.join(', ')}`;
    } catch (error) {
      if (!(error instanceof BrokerError) || error.permanent) throw error;
      if (!reason || error.code !== 'timed_out') reason = error.message;
    }
    if (seconds() + span >= deadline)
      throw new BrokerError(
        'timed_out',
        `not ready after ${timeout} s: ${reason}`,
        '`usps-token status` shows every token and its last trouble',
      );
    await pause(span * 1000);
    span = Math.min(2 * span, LONGEST_PAUSE);
  }
}

async function cause(names, why, deadline) {
  let told;
  for (const name of names.slice(0, MOST_CAUSES)) {
    const [app, slot] = name.split('/');
    try {
      if (slot) await why(app, slot, waitWithin(deadline - seconds()));
    } catch (error) {
      if (!(error instanceof BrokerError) || error.permanent) throw error;
      told ??= error.message;
    }
  }
  return told;
}
